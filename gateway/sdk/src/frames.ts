/** The frames of `GET /v1/connect`, as they are on the wire (contract §5), and the states they carry. */

/** How far a channel was seen: `EPOCH-OFFSET`. Opaque; keep it and give it back as `since`. */
export type Position = string;

/** A JSON object whose keys nobody promised. */
export type Json = Record<string, unknown>;

/** One event of a channel; `EventOf` narrows its type and data by the channel. */
export interface EventFrame<D = Json, T extends string = string> {
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
export type GapCause = "retention" | "epoch" | "ahead" | "latest" | "buffer";

/** Events that can no longer be had, said out loud: `from` and `to` are both missing. */
export interface GapFrame {
  type: "gap";
  channel: string;
  from: Position;
  to: Position;
  cause: GapCause;
}

/** The newest state of an entity, sent after a gap. */
export interface StateFrame<S = Json> {
  type: "state";
  channel: string;
  position: Position;
  state: S | null;
}

export interface WelcomeFrame {
  type: "welcome";
  connection: string;
  user: string | null;
  ping_ms: number;
  version: string;
  node?: string;
  /** What is missing behind the server, if anything. */
  degraded?: "broker" | "store" | "both" | null;
  /** What the server takes from this client. */
  limits?: { frames_per_second: number; subscriptions: number; frame_bytes: number };
  /** What this server knows beyond the first version. */
  features?: string[];
  partitions?: number;
}

export interface SubscribedFrame<S = Json> {
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

export interface ErrorFrame {
  type: "error";
  code: string;
  message: string;
  details?: { path: string; message: string }[];
  channel?: string;
}

export type PresenceStatus = "online" | "away" | "busy" | "offline";

export interface PresenceFrame {
  type: "presence";
  user: string | null;
  status: PresenceStatus;
  at: number;
}

export interface StatusFrame {
  type: "status";
  degraded: boolean;
  reason?: string;
}

export interface ByeFrame {
  type: "bye";
  reason: string;
  reconnect: boolean;
  after_ms: number;
}

/** Everything the server says. */
export type ServerFrame =
  | WelcomeFrame
  | SubscribedFrame
  | { type: "unsubscribed"; channel: string }
  | { type: "pong" }
  /** `expires_at`, ms since 1970; null for a credential without end. */
  | { type: "token"; expires_at: number | null }
  | EventFrame
  | GapFrame
  | StateFrame
  | PresenceFrame
  | StatusFrame
  | ErrorFrame
  | ByeFrame;

/** Everything a client says. */
export type ClientFrame =
  | { type: "subscribe"; channel: string; since?: Position; mode?: "all" | "latest"; tail?: number }
  | { type: "unsubscribe"; channel: string }
  | { type: "ping" }
  | { type: "token"; token: string }
  | { type: "presence"; status: PresenceStatus };

/** `deployment:ID` */
export interface DeploymentState extends Json {
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
export interface TaskState extends Json {
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
export interface AgentState extends Json {
  agentId: string;
  agentName: string;
  status?: "online" | "offline" | "busy" | "idle";
  state?: "idle" | "working" | "stopped";
  currentTask?: string;
  progress?: number;
  updated_at?: number;
}

/** `container:ID` */
export interface ContainerState extends Json {
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
export type StateOf<C extends string> = C extends `deployment:${string}`
  ? DeploymentState
  : C extends `task:${string}`
    ? TaskState
    : C extends `agent:${string}`
      ? AgentState
      : C extends `container:${string}`
        ? ContainerState
        : Json;

/** Log lines: several, or one. */
export interface LogLines extends Json {
  lines?: string[];
  message?: string;
}

/** A repository as its agent reports it. */
export interface RepoReport extends Json {
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

export interface AlertData extends Json {
  severity: "critical" | "warning" | "info";
  title: string;
  message?: string;
  source?: string;
}

export interface ContainerLog extends Json {
  message: string;
  level?: "info" | "warn" | "error";
}

/** Some of a state's fields, and any others: what an update says. */
type Some<S> = Partial<Pick<S, keyof { [K in keyof S as string extends K ? never : K]: 1 }>> & Json;

/** An event for each type: the server asks for the fields that are not optional and lets any other through. */
type Events<M> = { [T in keyof M & string]: EventFrame<M[T], T> }[keyof M & string];

type DeploymentEvents = Events<{ deployment_update: Some<DeploymentState>; deployment_log: LogLines }>;
/** A step of a task that is for one agent. */
interface Attempt extends Json {
  attempt: number;
  agent: string;
}

type TaskEvents = Events<{
  task_created: Some<TaskState> & { title: string };
  task_update: Some<TaskState>;
  task_log: LogLines;
  task_result: Some<TaskState> & { error?: unknown; attempt?: number; reason?: string };
  task_progress: Json & { progress?: number; message?: string; attempt?: number; agent?: string };
  task_assigned: Attempt;
  task_accepted: Attempt;
  task_released: Attempt & { why: "lost" | "timeout" | "rejected" | "failed"; after_ms?: number };
  task_cancelled: Json & { attempt?: number; by?: string; reason?: string };
  task_expired: Json;
  task_retried: Json & { by?: string; why: "hand" | "dependency" };
}>;
type AgentEvents = Events<{ agent_status: Some<AgentState>; agent_update: Some<AgentState> }>;
type ContainerEvents = Events<{
  log: ContainerLog;
  status: Json & { status?: string; message?: string };
  error: Json & { error?: string; code?: string };
  complete: Json & { exitCode?: number; message?: string; duration?: number };
}>;

/** What comes on a channel of this name: `switch (frame.event)` narrows `frame.data`. */
export type EventOf<C extends string> = C extends `deployment:${string}` | "deployments"
  ? DeploymentEvents
  : C extends `task:${string}` | "tasks"
    ? TaskEvents
    : C extends `agent:${string}` | "agents"
      ? AgentEvents
      : C extends `container:${string}`
        ? ContainerEvents
        : C extends "repos"
          ? Events<{ git_status: Json & { repos: RepoReport[] } }>
          : C extends "alerts"
            ? Events<{ alert: AlertData; alert_acknowledged: Json }>
            : C extends `conversation:${string}` | "conversations"
              ? Events<{ chat_message: Json & { content: string } }>
              : EventFrame;
