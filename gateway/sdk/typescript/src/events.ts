/**
 * What may come on which channel: the catalog of event types as the compiler reads it. Types of your
 * own are declared beside these:
 * `declare module "fanfare" { interface TopicEvents { price_changed: { amount: number } } }`.
 */

import type { EventFrame, Json } from "./frames.ts";
import type { AgentState, ContainerState, DeploymentState, RepoReport, TaskState } from "./states.ts";

/** Log lines: several, or one. */
export interface LogLines {
  lines?: string[];
  message?: string;
}

/** A step of a task that is for one agent. */
export interface TaskStep {
  attempt: number;
  agent: string;
}

/** The stream of deployments, by type. */
export interface DeploymentEvents {
  deployment_update: Partial<DeploymentState>;
  deployment_log: LogLines;
}

/** What a new task may say of itself; the keys of work for one agent are `TaskKeys`. */
export interface TaskCreated extends Partial<TaskState> {
  title: string;
  assign?: "one" | "all";
}

/** The stream of tasks, by type. */
export interface TaskEvents {
  task_created: TaskCreated;
  task_update: Partial<TaskState>;
  task_log: LogLines;
  task_result: Partial<TaskState> & { error?: unknown };
  task_progress: { progress?: number; message?: string; attempt?: number; agent?: string };
  task_assigned: TaskStep;
  task_accepted: TaskStep;
  task_released: TaskStep & { why: "lost" | "timeout" | "rejected" | "failed"; result?: unknown; after_ms?: number };
  task_cancelled: { attempt?: number; by?: string; reason?: string };
  task_expired: Record<never, never>;
  task_retried: { by?: string; why: "hand" | "dependency" };
}

/** The stream of agents, by type. */
export interface AgentEvents {
  agent_status: Partial<AgentState>;
  agent_update: Partial<AgentState>;
  git_status: { repos: RepoReport[] };
  alert: AlertData;
  alert_acknowledged: { by?: string };
}

export interface AlertData {
  severity: "critical" | "warning" | "info";
  title: string;
  message?: string;
  source?: string;
}

/** The stream of containers, by type. */
export interface ContainerEvents {
  log: ContainerLog;
  status: { status?: string; message?: string };
  error: { error?: string; code?: string };
  complete: { exitCode?: number; message?: string; duration?: number };
}

export interface ContainerLog {
  message: string;
  level?: "info" | "warn" | "error";
}

/** The stream of messages, by type: to a user, to all, or to a conversation. Add your own. */
export interface MessageEvents {
  notification: NotificationData;
  chat_message: { content: string };
  system: { message: string };
}

export interface NotificationData {
  message: string;
  level?: "info" | "success" | "warning" | "error";
}

/** The stream of topics, by type. While it is empty, any type may be published there. */
// biome-ignore lint/suspicious/noEmptyInterface: it is there to be added to
export interface TopicEvents {}

/** What the worker alone may say, and what asks for something and is no event. */
type Reserved = "task_assigned" | "task_accepted" | "task_released" | "task_cancelled" | "task_expired" | "task_retried";

/** By stream: what may be published. */
export interface StreamEvents {
  deployments: DeploymentEvents;
  tasks: Omit<TaskEvents, Reserved> & { task_cancel: { reason?: string }; task_retry: Record<never, never> };
  agents: AgentEvents;
  containers: ContainerEvents;
  messages: MessageEvents;
  topics: [keyof TopicEvents] extends [never] ? Record<string, Json> : TopicEvents;
}

export type EntityChannel = `deployment:${string}` | `task:${string}` | `agent:${string}` | `container:${string}`;
export type FeedChannel = "deployments" | "tasks" | "agents" | "repos" | "alerts" | "conversations" | "broadcast" | "presence";
/** The channels that there are. */
export type Channel = EntityChannel | `user:${string}` | `conversation:${string}` | `topic:${string}` | FeedChannel;

/** A channel's name as written: a misspelt one does not compile, one only known when it runs does. */
export type Named<C extends string> = string extends C ? C : C extends Channel ? C : never;

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

/** An event for each type of a map. */
type EventsOf<M> = { [T in keyof M & string]: EventFrame<M[T], T> }[keyof M & string];
type Topics = [keyof TopicEvents] extends [never] ? EventFrame : EventsOf<TopicEvents>;

/** What comes on a channel of this name: `switch (frame.event)` narrows `frame.data`. */
export type EventOf<C extends string> = string extends C
  ? EventFrame
  : C extends `deployment:${string}` | "deployments"
    ? EventsOf<DeploymentEvents>
    : C extends `task:${string}` | "tasks"
      ? EventsOf<TaskEvents>
      : C extends `agent:${string}` | "agents"
        ? EventsOf<Pick<AgentEvents, "agent_status" | "agent_update">>
        : C extends `container:${string}`
          ? EventsOf<ContainerEvents>
          : C extends "repos"
            ? EventsOf<Pick<AgentEvents, "git_status">>
            : C extends "alerts"
              ? EventsOf<Pick<AgentEvents, "alert" | "alert_acknowledged">>
              : C extends `conversation:${string}` | "conversations"
                ? EventsOf<Pick<MessageEvents, "chat_message">>
                : C extends `topic:${string}`
                  ? Topics
                  : EventFrame;
