/** React hooks. Wrap the tree in `FanfareProvider`, or give each hook its `client`. */

import { createContext, createElement, type FunctionComponent, type ReactNode, useContext, useEffect, useRef, useState, useSyncExternalStore } from "react";
import type { Fanfare } from "./client.ts";
import type { FanfareError } from "./codes.ts";
import { logLines } from "./fold.ts";
import type { EventFrame, EventOf, GapFrame, PresenceFrame, PresenceStatus, StateOf } from "./frames.ts";
import type { ConnectionState } from "./link.ts";
import { distance } from "./position.ts";
import type { Subscribed, SubscribeOptions } from "./subscription.ts";

const Context = createContext<Fanfare | null>(null);

/** Gives the hooks below it their client. The one who made the client closes it. */
export const FanfareProvider: FunctionComponent<{ client: Fanfare; children?: ReactNode }> = ({ client, children }) =>
  createElement(Context.Provider, { value: client }, children);

/** The client of the nearest provider. */
export function useFanfare(own?: Fanfare): Fanfare {
  const client = useContext(Context);
  const found = own ?? client;
  if (!found) throw new Error("no Fanfare client: wrap the tree in <FanfareProvider client={…}>");
  return found;
}

export interface ChannelOptions<C extends string> extends Omit<SubscribeOptions, "signal" | "buffer"> {
  client?: Fanfare;
  /** False: not subscribed. */
  enabled?: boolean;
  onEvent?: (event: EventOf<C>) => void;
  onGap?: (gap: GapFrame) => void;
  onSubscribed?: (subscribed: Subscribed<StateOf<C>>) => void;
  onPresence?: (presence: PresenceFrame) => void;
}

export interface ChannelResult<C extends string> {
  /** The folded state. */
  state: StateOf<C> | null;
  /** The last event. */
  event: EventOf<C> | null;
  status: "idle" | "subscribing" | "subscribed";
  error: FanfareError | null;
}

const IDLE = { state: null, event: null, status: "idle", error: null } as const;

/** Listens to a channel while mounted; a null channel listens to nothing. */
export function useChannel<C extends string>(channel: C | null, options: ChannelOptions<C> = {}): ChannelResult<C> {
  const client = useFanfare(options.client);
  const { enabled = true, since, tail, mode } = options;
  const [result, setResult] = useState<ChannelResult<C>>(IDLE);
  const handlers = useRef(options);
  handlers.current = options;

  useEffect(() => {
    if (!enabled || channel === null) return setResult(IDLE);
    setResult({ ...IDLE, status: "subscribing" });
    const merge = (part: Partial<ChannelResult<C>>): void => setResult((before) => ({ ...before, ...part }));
    const subscription = client.subscribe(channel, { since, tail, mode });
    subscription.on("subscribed", (subscribed) => {
      merge({ status: "subscribed", state: subscribed.state, error: null });
      handlers.current.onSubscribed?.(subscribed);
    });
    subscription.on("state", (state) => merge({ state }));
    subscription.on("event", (event) => {
      merge({ event });
      handlers.current.onEvent?.(event);
    });
    subscription.on("gap", (gap) => handlers.current.onGap?.(gap));
    subscription.on("presence", (presence) => handlers.current.onPresence?.(presence));
    subscription.on("error", (error) => merge({ error }));
    return () => subscription.unsubscribe();
  }, [client, channel, enabled, since, tail, mode]);
  return result;
}

type DeploymentChannel = `deployment:${string}`;
type TaskChannel = `task:${string}`;

/** A deployment, folded. */
export function useDeployment(id: string | null, options?: ChannelOptions<DeploymentChannel>): ChannelResult<DeploymentChannel> {
  return useChannel<DeploymentChannel>(id === null ? null : `deployment:${id}`, options);
}

/** A task, folded. */
export function useTask(id: string | null, options?: ChannelOptions<TaskChannel>): ChannelResult<TaskChannel> {
  return useChannel<TaskChannel>(id === null ? null : `task:${id}`, options);
}

/** One row of a log: a line, or the honest absence of some. */
export type LogRow =
  | { kind: "line"; key: string; text: string; at: number; level?: string }
  | { kind: "gap"; key: string; missing: number | null; cause: GapFrame["cause"] };

export interface LogsResult {
  rows: readonly LogRow[];
  status: ChannelResult<string>["status"];
  error: FanfareError | null;
}

/** The log lines in an event of a deployment, task or container, if it carries any. */
export function linesOf(event: EventFrame): string[] {
  return /^(\w+_)?(log|update)$/.test(event.event) ? logLines(event.data).filter((line) => line !== "") : [];
}

/** The log of `deployment:ID`, `task:ID` or `container:ID`: the last `tail` events and what follows. */
export function useLogs(channel: string | null, options: { tail?: number; limit?: number; client?: Fanfare } = {}): LogsResult {
  const { tail = 100, limit = 10_000 } = options;
  const [rows, setRows] = useState<readonly LogRow[]>([]);
  const add = (more: LogRow[]): void => {
    if (more.length > 0) setRows((before) => [...before, ...more].slice(-limit));
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: another channel begins with no rows
  useEffect(() => setRows([]), [channel]);
  const { status, error } = useChannel<string>(channel, {
    ...(options.client && { client: options.client }),
    tail,
    onEvent: (event) => {
      const level = typeof event.data.level === "string" ? { level: event.data.level } : {};
      add(linesOf(event).map((text, at) => ({ kind: "line", key: `${event.position}/${at}`, text, at: event.at, ...level })));
    },
    onGap: ({ from, to, cause }) => add([{ kind: "gap", key: `gap/${to}`, missing: distance(channel ?? "", from, to), cause }]),
  });
  return { rows, status, error };
}

/** Who is there, as far as it was heard since mounting; `set` tells others of oneself. */
export function usePresence(options: { client?: Fanfare } = {}): {
  users: Readonly<Record<string, PresenceStatus>>;
  set: (status: PresenceStatus) => void;
} {
  const client = useFanfare(options.client);
  const [users, setUsers] = useState<Readonly<Record<string, PresenceStatus>>>({});
  useChannel<string>("presence", {
    client,
    onPresence: ({ user, status }) => {
      if (user !== null) setUsers((before) => ({ ...before, [user]: status }));
    },
  });
  return { users, set: (status) => client.presence(status) };
}

/** `disconnected`, `connecting` or `connected`. */
export function useConnectionState(options: { client?: Fanfare } = {}): ConnectionState {
  const client = useFanfare(options.client);
  return useSyncExternalStore(
    (changed) => client.on("state", changed),
    () => client.state,
    () => "disconnected",
  );
}
