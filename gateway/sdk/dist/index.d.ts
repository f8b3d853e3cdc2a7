import { c as Verdict, i as WebSocketLike, l as meaning, n as Reconnecting, o as Stop, r as WebSocketConstructor, s as FanfareError, t as ConnectionState, u as verdict } from "./link-QoMBa9CB.js";
import { A as RepoReport, C as GapCause, D as Position, E as LogLines, F as SubscribedFrame, I as TaskState, L as WelcomeFrame, M as StateFrame, N as StateOf, O as PresenceFrame, P as StatusFrame, S as EventOf, T as Json, _ as ContainerLog, a as Page, b as ErrorFrame, c as Item, d as Subscription, f as SubscriptionEvents, g as ClientFrame, h as ByeFrame, i as FanfareOptions, j as ServerFrame, k as PresenceStatus, l as SubscribeOptions, m as AlertData, n as Fanfare, o as Publication, p as AgentState, r as FanfareEvents, s as Published, t as Connection, u as Subscribed, v as ContainerState, w as GapFrame, x as EventFrame, y as DeploymentState } from "./client-C61JVOGt.js";

//#region src/fold.d.ts
/** The most log lines that a state keeps, and the most bytes of them. */
declare const LOG_LINES_MAX = 100;
/** What has a state of its own. */
type EntityKind = "deployment" | "task" | "agent" | "container" | "repo" | "alert";
/** The lines of a log event: `{lines:[…]}` or `{message}`. */
declare function logLines(data: Json): string[];
/**
* The state of one entity after `event`. `state` is null before its first event; an event that says
* nothing about an entity of this kind answers with the state that it was given.
*/
declare function foldEntity(kind: EntityKind, id: string, state: Json | null, event: EventFrame): Json | null;
/** The state of the entity that `event` is about; for a feed, whose events name their entities. */
declare function fold<S extends Json>(state: S | null, event: EventFrame): S | null;
//#endregion
//#region src/position.d.ts
/** Whether whoever saw `seen` saw `position` of the same channel too. */
declare function covers(channel: string, seen: Position | null, position: Position): boolean;
/**
* How many publications a gap swallowed, `from` and `to` included; null when the two cannot be
* compared, as after a change of epoch.
*/
declare function distance(channel: string, from: Position, to: Position): number | null;
//#endregion
export { AgentState, AlertData, ByeFrame, ClientFrame, type Connection, type ConnectionState, ContainerLog, ContainerState, DeploymentState, type EntityKind, ErrorFrame, EventFrame, EventOf, Fanfare, FanfareError, type FanfareEvents, type FanfareOptions, GapCause, GapFrame, type Item, Json, LOG_LINES_MAX, LogLines, type Page, Position, PresenceFrame, PresenceStatus, type Publication, type Published, type Reconnecting, RepoReport, ServerFrame, StateFrame, StateOf, StatusFrame, type Stop, type SubscribeOptions, type Subscribed, SubscribedFrame, Subscription, type SubscriptionEvents, TaskState, type Verdict, type WebSocketConstructor, type WebSocketLike, WelcomeFrame, covers, distance, fold, foldEntity, logLines, meaning, verdict };