"use client";
/** React hooks. Wrap the tree in `FanfareProvider`, or give each hook its `client`. Rendered on a server they are idle. */

import { createContext, createElement, type FunctionComponent, type ReactNode, useContext, useEffect, useRef, useState, useSyncExternalStore } from "react";
import type { Fanfare } from "./client.ts";
import type { FanfareError } from "./codes.ts";
import type { EventOf, Named, StateOf } from "./events.ts";
import type { GapFrame, PresenceFrame, PresenceStatus } from "./frames.ts";
import type { ConnectionState } from "./link.ts";
import { List, type ListQuery, type ListState, type Lists } from "./list.ts";
import { type LogRow, Logs, type LogsOptions } from "./logs.ts";
import type { Subscribed, SubscribeOptions, Subscription } from "./subscription.ts";
import type { Queue } from "./tasks.ts";

export type { ListQuery, ListState, Lists } from "./list.ts";
export { type LogRow, type LogsOptions, linesOf } from "./logs.ts";

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

/**
 * `idle`: not wanted. `subscribing`: asked for, for the first time. `subscribed`: what is shown is live.
 * `disconnected`: what is shown was; it goes on by itself.
 */
export type SubscriptionStatus = "idle" | "subscribing" | "subscribed" | "disconnected";

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
  status: SubscriptionStatus;
  error: FanfareError | null;
}

const IDLE = { state: null, event: null, status: "idle", error: null } as const;

/** Tells how a subscription stands, from now on. */
function watch(subscription: Subscription, tell: (part: { status: SubscriptionStatus; error?: null } | { error: FanfareError }) => void): void {
  subscription.on("subscribed", () => tell({ status: "subscribed", error: null }));
  subscription.on("interrupted", () => tell({ status: "disconnected" }));
  subscription.on("error", (error) => tell({ error }));
}

/** Listens to a channel while mounted; a null channel listens to nothing. */
export function useChannel<C extends string>(channel: (C & Named<C>) | null, options: ChannelOptions<C> = {}): ChannelResult<C> {
  const client = useFanfare(options.client);
  const { enabled = true, since, tail, mode } = options;
  const [result, setResult] = useState<ChannelResult<C>>(IDLE);
  const handlers = useRef(options);
  handlers.current = options;

  useEffect(() => {
    if (!enabled || channel === null) return setResult(IDLE);
    setResult({ ...IDLE, status: "subscribing" });
    const merge = (part: Partial<ChannelResult<C>>): void => setResult((before) => ({ ...before, ...part }));
    const subscription = client.subscribe<C>(channel, { since, tail, mode });
    watch(subscription as unknown as Subscription, merge);
    subscription.on("subscribed", (subscribed) => {
      merge({ state: subscribed.state });
      handlers.current.onSubscribed?.(subscribed);
    });
    subscription.on("state", (state) => merge({ state }));
    subscription.on("event", (event) => {
      merge({ event });
      handlers.current.onEvent?.(event);
    });
    subscription.on("gap", (gap) => handlers.current.onGap?.(gap));
    subscription.on("presence", (presence) => handlers.current.onPresence?.(presence));
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

export interface ListResult<T> extends ListState<T> {
  status: SubscriptionStatus;
  error: FanfareError | null;
}

/** A live list: `useList("deployments", { status: "building" })`. */
export function useList<N extends keyof Lists>(name: N, query: ListQuery = {}, own?: Fanfare): ListResult<Lists[N]> {
  const client = useFanfare(own);
  const { status, q, sort, limit } = query;
  const [result, setResult] = useState<ListResult<Lists[N]>>({ rows: [], total: null, byStatus: {}, status: "idle", error: null });
  useEffect(() => {
    const merge = (part: Partial<ListResult<Lists[N]>>): void => setResult((before) => ({ ...before, ...part }));
    merge({ status: "subscribing" });
    const list = new List(client, name, { status, q, sort, limit });
    watch(list.subscription, merge);
    list.on("change", merge);
    list.on("error", (error) => merge({ error: error as FanfareError }));
    return () => list.close();
  }, [client, name, status, q, sort, limit]);
  return result;
}

/** The deployments, live. */
export function useDeployments(query?: ListQuery, own?: Fanfare): ListResult<Lists["deployments"]> {
  return useList("deployments", query, own);
}

/** The tasks, live. */
export function useTasks(query?: ListQuery, own?: Fanfare): ListResult<Lists["tasks"]> {
  return useList("tasks", query, own);
}

/** How the queue stands, asked `every` so many ms (2000); needs an API key. */
export function useQueue({ every = 2000, client: own }: { every?: number; client?: Fanfare } = {}): { queue: Queue | null; error: FanfareError | null } {
  const client = useFanfare(own);
  const [result, setResult] = useState<{ queue: Queue | null; error: FanfareError | null }>({ queue: null, error: null });
  useEffect(() => {
    let wanted = true;
    const ask = async (): Promise<void> => {
      const answer = await client.queue().then(
        (queue) => ({ queue, error: null }),
        (error: FanfareError) => ({ queue: null, error }),
      );
      if (wanted) setResult(answer);
    };
    void ask();
    const timer = setInterval(ask, every);
    return () => {
      wanted = false;
      clearInterval(timer);
    };
  }, [client, every]);
  return result;
}

export interface LogsResult {
  rows: readonly LogRow[];
  status: SubscriptionStatus;
  error: FanfareError | null;
  /** Whether there may be lines before the first row. */
  hasEarlier: boolean;
  /** Puts an earlier page in front. */
  loadEarlier: (limit?: number) => Promise<void>;
}

/** The log of `deployment:ID`, `task:ID` or `container:ID`: the last `tail` events, what follows, and what came before. */
export function useLogs(channel: string | null, options: LogsOptions & { client?: Fanfare } = {}): LogsResult {
  const client = useFanfare(options.client);
  const { tail, limit } = options;
  const logs = useRef<Logs | null>(null);
  const [result, setResult] = useState<Omit<LogsResult, "loadEarlier">>({ rows: [], status: "idle", error: null, hasEarlier: false });
  useEffect(() => {
    const merge = (part: Partial<LogsResult>): void => setResult((before) => ({ ...before, ...part }));
    merge({ rows: [], status: channel === null ? "idle" : "subscribing", error: null, hasEarlier: false });
    if (channel === null) return;
    const opened = (logs.current = new Logs(client, channel, { tail, limit }));
    const { hasEarlier } = opened;
    watch(opened.subscription, (part) => merge({ ...part, ...("status" in part && part.status === "subscribed" && { hasEarlier }) }));
    opened.on("change", (rows) => merge({ rows, hasEarlier: opened.hasEarlier }));
    return () => opened.close();
  }, [client, channel, tail, limit]);
  return { ...result, loadEarlier: async (count) => logs.current?.loadEarlier(count) };
}

/** Who is there, as far as it was heard since mounting; `set` tells others of oneself. */
export function usePresence(options: { client?: Fanfare } = {}): {
  users: Readonly<Record<string, PresenceStatus>>;
  set: (status: PresenceStatus) => void;
} {
  const client = useFanfare(options.client);
  const [users, setUsers] = useState<Readonly<Record<string, PresenceStatus>>>({});
  useChannel("presence", {
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
