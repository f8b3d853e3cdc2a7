import { a as Emitter, n as Reconnecting, r as WebSocketConstructor, s as FanfareError, t as ConnectionState } from "./link-QoMBa9CB.js";

//#region src/frames.d.ts
/** The frames of `GET /v1/connect`, as they are on the wire (contract §5), and the states they carry. */
/** How far a channel was seen: `EPOCH-OFFSET`. Opaque; keep it and give it back as `since`. */
type Position = string;
/** A JSON object whose keys nobody promised. */
type Json = Record<string, unknown>;
/** One event of a channel; `EventOf` narrows its type and data by the channel. */
interface EventFrame<D = Json, T extends string = string> {
  type: "event";
  channel: string;
  position: Position;
  /** The event's type: `deployment_update`, `task_log`, `notification` … */
  event: T;
  /** What the event is about; null when it is about nothing in particular. */
  id: string | null;
  data: D;
  /** When it happened, ms since 1970. */
  at: number;
  /** When it was recorded, ms since 1970: the time in states. */
  recorded: number;
  /** A message whose type was free to choose, however it is spelled: never one of the record's own. */
  free?: true;
  /** Set on the events before the position of `subscribed`, which `tail` asked for. */
  tail?: boolean;
  traceparent?: string;
}
/** Why a run of events cannot be had. `buffer`: this client's own reader was too slow. */
type GapCause = "retention" | "epoch" | "ahead" | "latest" | "buffer";
/** Events that can no longer be had, said out loud: `from` and `to` are both missing. */
interface GapFrame {
  type: "gap";
  channel: string;
  from: Position;
  to: Position;
  cause: GapCause;
}
/** The newest state of an entity, sent after a gap. */
interface StateFrame<S = Json> {
  type: "state";
  channel: string;
  position: Position;
  state: S | null;
}
interface WelcomeFrame {
  type: "welcome";
  connection: string;
  user: string | null;
  ping_ms: number;
  version: string;
  node?: string;
  /** What is missing behind the server, if anything. */
  degraded?: "broker" | "store" | "both" | null;
  /** What the server takes from this client. */
  limits?: {
    frames_per_second: number;
    subscriptions: number;
    frame_bytes: number;
  };
  /** What this server knows beyond the first version. */
  features?: string[];
  partitions?: number;
}
interface SubscribedFrame<S = Json> {
  type: "subscribed";
  channel: string;
  /** Safe to resume from; null on `presence`, which has no positions. */
  position: Position | null;
  /** The newest position of the channel. */
  head: Position | null;
  state: S | null;
  /** How many events of the tail come, where one was asked for. */
  tail?: number;
}
interface ErrorFrame {
  type: "error";
  code: string;
  message: string;
  details?: {
    path: string;
    message: string;
  }[];
  channel?: string;
}
type PresenceStatus = "online" | "away" | "busy" | "offline";
interface PresenceFrame {
  type: "presence";
  user: string | null;
  status: PresenceStatus;
  at: number;
}
interface StatusFrame {
  type: "status";
  degraded: boolean;
  reason?: string;
}
interface ByeFrame {
  type: "bye";
  reason: string;
  reconnect: boolean;
  after_ms: number;
}
/** Everything the server says. */
type ServerFrame = WelcomeFrame | SubscribedFrame | {
  type: "unsubscribed";
  channel: string;
} | {
  type: "pong";
} | {
  type: "token";
  expires_at: number | null;
} | EventFrame | GapFrame | StateFrame | PresenceFrame | StatusFrame | ErrorFrame | ByeFrame;
/** Everything a client says. */
type ClientFrame = {
  type: "subscribe";
  channel: string;
  since?: Position;
  mode?: "all" | "latest";
  tail?: number;
} | {
  type: "unsubscribe";
  channel: string;
} | {
  type: "ping";
} | {
  type: "token";
  token: string;
} | {
  type: "presence";
  status: PresenceStatus;
};
/** `deployment:ID` */
interface DeploymentState extends Json {
  id: string;
  projectId: string;
  status: "pending" | "building" | "deploying" | "success" | "error" | "abandoned";
  /** 0 to 100. */
  progress: number;
  stage: string;
  timestamp: number;
  /** The newest lines, at most 100. */
  logs: string[];
  message?: string;
  deploymentUrl?: string;
}
/** `task:ID` */
interface TaskState extends Json {
  id: string;
  status: "pending" | "assigned" | "running" | "completed" | "failed" | "cancelled" | "expired" | "abandoned";
  title?: string;
  executor?: string | null;
  /** Of a task for one agent: the newest attempt, and who holds it. */
  attempt?: number;
  agent?: string | null;
  progress?: number;
  logs?: string[];
  result?: unknown;
  /** Unix seconds. */
  created_at?: number;
  updated_at?: number;
}
/** `agent:ID` */
interface AgentState extends Json {
  agentId: string;
  agentName: string;
  status?: "online" | "offline" | "busy" | "idle";
  state?: "idle" | "working" | "stopped";
  currentTask?: string;
  progress?: number;
  updated_at?: number;
}
/** `container:ID` */
interface ContainerState extends Json {
  id: string;
  status: string;
  /** How many log lines it wrote so far. */
  lines: number;
  message?: string;
  error?: string;
  exitCode?: number;
  duration?: number;
  updated_at?: number;
}
/** The state that a channel of this name has; feeds and conversations have none. */
type StateOf<C extends string> = C extends `deployment:${string}` ? DeploymentState : C extends `task:${string}` ? TaskState : C extends `agent:${string}` ? AgentState : C extends `container:${string}` ? ContainerState : Json;
/** Log lines: several, or one. */
interface LogLines extends Json {
  lines?: string[];
  message?: string;
}
/** A repository as its agent reports it. */
interface RepoReport extends Json {
  id: string;
  path: string;
  name: string;
  branch?: string;
  status?: "clean" | "dirty" | "ahead" | "behind" | "diverged";
  uncommittedCount?: number;
  aheadCount?: number;
  behindCount?: number;
  modifiedFiles?: string[];
}
interface AlertData extends Json {
  severity: "critical" | "warning" | "info";
  title: string;
  message?: string;
  source?: string;
}
interface ContainerLog extends Json {
  message: string;
  level?: "info" | "warn" | "error";
}
/** Some of a state's fields, and any others: what an update says. */
type Some<S> = Partial<Pick<S, keyof { [K in keyof S as string extends K ? never : K]: 1 }>> & Json;
/** An event for each type: the server asks for the fields that are not optional and lets any other through. */
type Events<M> = { [T in keyof M & string]: EventFrame<M[T], T> }[keyof M & string];
type DeploymentEvents = Events<{
  deployment_update: Some<DeploymentState>;
  deployment_log: LogLines;
}>;
/** A step of a task that is for one agent. */
interface Attempt extends Json {
  attempt: number;
  agent: string;
}
type TaskEvents = Events<{
  task_created: Some<TaskState> & {
    title: string;
  };
  task_update: Some<TaskState>;
  task_log: LogLines;
  task_result: Some<TaskState> & {
    error?: unknown;
    attempt?: number;
    reason?: string;
  };
  task_progress: Json & {
    progress?: number;
    message?: string;
    attempt?: number;
    agent?: string;
  };
  task_assigned: Attempt;
  task_accepted: Attempt;
  task_released: Attempt & {
    why: "lost" | "timeout" | "rejected" | "failed";
    after_ms?: number;
  };
  task_cancelled: Json & {
    attempt?: number;
    by?: string;
    reason?: string;
  };
  task_expired: Json;
  task_retried: Json & {
    by?: string;
    why: "hand" | "dependency";
  };
}>;
type AgentEvents = Events<{
  agent_status: Some<AgentState>;
  agent_update: Some<AgentState>;
}>;
type ContainerEvents = Events<{
  log: ContainerLog;
  status: Json & {
    status?: string;
    message?: string;
  };
  error: Json & {
    error?: string;
    code?: string;
  };
  complete: Json & {
    exitCode?: number;
    message?: string;
    duration?: number;
  };
}>;
/** What comes on a channel of this name: `switch (frame.event)` narrows `frame.data`. */
type EventOf<C extends string> = C extends `deployment:${string}` | "deployments" ? DeploymentEvents : C extends `task:${string}` | "tasks" ? TaskEvents : C extends `agent:${string}` | "agents" ? AgentEvents : C extends `container:${string}` ? ContainerEvents : C extends "repos" ? Events<{
  git_status: Json & {
    repos: RepoReport[];
  };
}> : C extends "alerts" ? Events<{
  alert: AlertData;
  alert_acknowledged: Json;
}> : C extends `conversation:${string}` | "conversations" ? Events<{
  chat_message: Json & {
    content: string;
  };
}> : EventFrame;
//#endregion
//#region src/subscription.d.ts
interface SubscribeOptions {
  /** Everything after this position, as far as the archive reaches back. */
  since?: Position | undefined;
  /** The last so many events first, marked `tail`. Without effect beside `since`. */
  tail?: number | undefined;
  /** `latest`: when this reader is slow, skip to the newest state instead of every event. */
  mode?: "all" | "latest" | undefined;
  /** How many items an async iterator holds for a slow loop before it says `gap`. Default 10,000. */
  buffer?: number | undefined;
  /** Unsubscribes. */
  signal?: AbortSignal | undefined;
}
/** The channel is being listened to (again). */
interface Subscribed<S> {
  channel: string;
  position: Position | null;
  head: Position | null;
  state: S | null;
  /** Went on exactly after the last event that was seen; false the first time, and after a gap of epoch. */
  recovered: boolean;
}
interface SubscriptionEvents<S, E = EventFrame> {
  /** Each event once and in order. */
  event: E;
  /** The folded state after each event that changed it, and whenever the server sent it whole. */
  state: S | null;
  /** Events that can no longer be had. */
  gap: GapFrame;
  subscribed: Subscribed<S>;
  /** On the channel `presence` only. */
  presence: PresenceFrame;
  error: FanfareError;
  /** Unsubscribed; nothing follows. */
  closed: undefined;
}
/** What an async iterator yields; `type` tells them apart. */
type Item<S, E = EventFrame> = E | GapFrame | StateFrame<S> | PresenceFrame;
/** Made by `Fanfare.subscribe`. */
declare class Subscription<S = Json, E extends EventFrame = EventFrame> extends Emitter<SubscriptionEvents<S, E>> implements AsyncIterable<Item<S, E>> {
  #private;
  readonly channel: string;
  readonly options: SubscribeOptions;
  /** The folded state; null while unknown, and on channels that have none. */
  state: S | null;
  /** The last position seen. Keep it to resume later: `subscribe(channel, { since })`. */
  position: Position | null;
  /** The server has confirmed the subscription on the connection in use. */
  active: boolean;
  /** @internal */
  constructor(channel: string, options: SubscribeOptions, leave: () => void);
  get closed(): boolean;
  /** Ends this reader; the last one of a channel ends the channel's subscription. */
  unsubscribe(): void;
  /** @internal One thing that happened on the channel. */
  tell<K extends keyof SubscriptionEvents<S, E>>(what: K, value: SubscriptionEvents<S, E>[K]): void;
  /** @internal A state that the server sent whole. */
  tellState(frame: StateFrame<S>): void;
  /**
  * Events, gaps and whole states in order, from the call on; ends with `unsubscribe()`. Leaving the
  * loop leaves the subscription as it is. A loop that falls `buffer` items behind loses them, and
  * is told so by a gap of cause `buffer`.
  */
  [Symbol.asyncIterator](): AsyncGenerator<Item<S, E>, void, undefined>;
}
//#endregion
//#region src/client.d.ts
interface FanfareOptions {
  /** A JWT or an API key. */
  token?: string | undefined;
  /** Asked for a token before the first connection, before the token ends, and once after a refusal. Null: none. */
  getToken?: (() => string | null | Promise<string | null>) | undefined;
  /** Where there is no global `WebSocket` (Node 20): `import { WebSocket } from "ws"`. Without one, SSE is used. */
  WebSocket?: WebSocketConstructor | undefined;
  fetch?: typeof globalThis.fetch | undefined;
  /** `auto`: WebSocket, and SSE where WebSockets fail twice before ever opening. */
  transport?: "auto" | "websocket" | "sse" | undefined;
  /** Milliseconds; 500 and 20,000 by default. */
  minReconnectDelay?: number | undefined;
  maxReconnectDelay?: number | undefined;
  connectTimeout?: number | undefined;
}
/** Who we are to the server. */
interface Connection {
  id: string;
  user: string | null;
  version: string;
  transport: "websocket" | "sse";
}
interface FanfareEvents {
  state: ConnectionState;
  /** Ready; also after each reconnection. */
  connected: Connection;
  /** The connection ended, or an attempt failed. */
  disconnected: {
    code: number;
    reason: string;
  };
  reconnecting: Reconnecting;
  /** Redis or SQL is down behind the server, or up again. Connections stay. */
  status: StatusFrame;
  /** What concerns no channel; `terminal` when the client gave up. */
  error: FanfareError;
}
/** One event to publish (contract §3). */
interface Publication {
  stream: "deployments" | "tasks" | "agents" | "containers" | "messages" | "topics";
  type: string;
  id?: string | undefined;
  data?: object | undefined;
  user?: string | undefined;
  /** The same id within 24 h is applied once: safe to repeat after a failure. */
  event_id?: string | undefined;
  lease_ms?: number | undefined;
  at?: number | undefined;
  traceparent?: string | undefined;
}
interface Published {
  /** Recorded, and where; empty when the server accepted it without waiting for that (202). */
  published: {
    index: number;
    channel: string;
    position: Position;
  }[];
}
/** A page of a channel's archive. */
interface Page {
  channel: string;
  events: EventFrame[];
  next: Position | null;
}
declare class Fanfare extends Emitter<FanfareEvents> {
  #private;
  /** Where HTTP goes: `https://host/prefix`. */
  readonly url: string;
  connection: Connection | null;
  degraded: StatusFrame;
  /** `url`: `https://host`, `wss://host`, with or without a path in front of `/v1`; default: the page's own host. */
  constructor(url?: string | URL, options?: FanfareOptions);
  get state(): ConnectionState;
  /** Connects; `subscribe` does it too. After a terminal error this is the way back. */
  connect(): this;
  /** Leaves the server. Subscriptions stay and resume with the next `connect()`. */
  disconnect(): void;
  /** Leaves the server and ends all subscriptions. */
  close(): void;
  /** Another token, from now on; the open connection changes to it at once. */
  setToken(token: string | null): void;
  /**
  * Listens to a channel. Several subscriptions of one channel share what the server sends; `since`
  * and `mode` are the first one's to say.
  */
  subscribe<C extends string>(channel: C, options?: SubscribeOptions): Subscription<StateOf<C>, EventOf<C>>;
  /** A page of the channel's archive; with `reverse` the newest events first. */
  history(channel: string, query?: {
    since?: Position;
    limit?: number;
    reverse?: boolean;
  }): Promise<Page>;
  /** Publishes over HTTP; answered after the events are stored. All of an array or none. */
  publish(events: Publication | Publication[]): Promise<Published>;
  /** Tells others of this user's presence; lost with the connection. */
  presence(status: PresenceStatus): void;
  /** Milliseconds there and back; null where it cannot be measured (SSE, not connected). */
  ping(): Promise<number | null>;
}
//#endregion
export { RepoReport as A, GapCause as C, Position as D, LogLines as E, SubscribedFrame as F, TaskState as I, WelcomeFrame as L, StateFrame as M, StateOf as N, PresenceFrame as O, StatusFrame as P, EventOf as S, Json as T, ContainerLog as _, Page as a, ErrorFrame as b, Item as c, Subscription as d, SubscriptionEvents as f, ClientFrame as g, ByeFrame as h, FanfareOptions as i, ServerFrame as j, PresenceStatus as k, SubscribeOptions as l, AlertData as m, Fanfare as n, Publication as o, AgentState as p, FanfareEvents as r, Published as s, Connection as t, Subscribed as u, ContainerState as v, GapFrame as w, EventFrame as x, DeploymentState as y };