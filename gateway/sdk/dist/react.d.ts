import { s as FanfareError, t as ConnectionState } from "./link-QoMBa9CB.js";
import { N as StateOf, O as PresenceFrame, S as EventOf, k as PresenceStatus, l as SubscribeOptions, n as Fanfare, u as Subscribed, w as GapFrame, x as EventFrame } from "./client-C61JVOGt.js";
import { FunctionComponent, ReactNode } from "react";

//#region src/react.d.ts
/** Gives the hooks below it their client. The one who made the client closes it. */
declare const FanfareProvider: FunctionComponent<{
  client: Fanfare;
  children?: ReactNode;
}>;
/** The client of the nearest provider. */
declare function useFanfare(own?: Fanfare): Fanfare;
interface ChannelOptions<C extends string> extends Omit<SubscribeOptions, "signal" | "buffer"> {
  client?: Fanfare;
  /** False: not subscribed. */
  enabled?: boolean;
  onEvent?: (event: EventOf<C>) => void;
  onGap?: (gap: GapFrame) => void;
  onSubscribed?: (subscribed: Subscribed<StateOf<C>>) => void;
  onPresence?: (presence: PresenceFrame) => void;
}
interface ChannelResult<C extends string> {
  /** The folded state. */
  state: StateOf<C> | null;
  /** The last event. */
  event: EventOf<C> | null;
  status: "idle" | "subscribing" | "subscribed";
  error: FanfareError | null;
}
/** Listens to a channel while mounted; a null channel listens to nothing. */
declare function useChannel<C extends string>(channel: C | null, options?: ChannelOptions<C>): ChannelResult<C>;
type DeploymentChannel = `deployment:${string}`;
type TaskChannel = `task:${string}`;
/** A deployment, folded. */
declare function useDeployment(id: string | null, options?: ChannelOptions<DeploymentChannel>): ChannelResult<DeploymentChannel>;
/** A task, folded. */
declare function useTask(id: string | null, options?: ChannelOptions<TaskChannel>): ChannelResult<TaskChannel>;
/** One row of a log: a line, or the honest absence of some. */
type LogRow = {
  kind: "line";
  key: string;
  text: string;
  at: number;
  level?: string;
} | {
  kind: "gap";
  key: string;
  missing: number | null;
  cause: GapFrame["cause"];
};
interface LogsResult {
  rows: readonly LogRow[];
  status: ChannelResult<string>["status"];
  error: FanfareError | null;
}
/** The log lines in an event of a deployment, task or container, if it carries any. */
declare function linesOf(event: EventFrame): string[];
/** The log of `deployment:ID`, `task:ID` or `container:ID`: the last `tail` events and what follows. */
declare function useLogs(channel: string | null, options?: {
  tail?: number;
  limit?: number;
  client?: Fanfare;
}): LogsResult;
/** Who is there, as far as it was heard since mounting; `set` tells others of oneself. */
declare function usePresence(options?: {
  client?: Fanfare;
}): {
  users: Readonly<Record<string, PresenceStatus>>;
  set: (status: PresenceStatus) => void;
};
/** `disconnected`, `connecting` or `connected`. */
declare function useConnectionState(options?: {
  client?: Fanfare;
}): ConnectionState;
//#endregion
export { ChannelOptions, ChannelResult, FanfareProvider, LogRow, LogsResult, linesOf, useChannel, useConnectionState, useDeployment, useFanfare, useLogs, usePresence, useTask };