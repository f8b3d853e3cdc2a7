/** Work for one agent (contract §8): what a task may say, and what is known of it. */

import type { TaskState } from "./states.ts";

export type TaskStatus = TaskState["status"];

/** A task to be recorded. */
export interface Task {
  /** Default: one of the server's. */
  id?: string | undefined;
  title: string;
  executor?: string | undefined;
  /** What the agent is given. */
  payload?: object | undefined;
  /** `one` agent does it, once (the default), or `all` that are there are told. */
  assign?: "one" | "all" | undefined;
  user?: string | undefined;
  event_id?: string | undefined;
  lease_ms?: number | undefined;
  /** Capabilities that the agent must have, all of them. */
  requires?: string[] | undefined;
  /** This agent and no other. */
  agent?: string | undefined;
  /** 0 to 9, default 5; higher first. */
  priority?: number | undefined;
  /** `true`: three attempts. */
  retry?: boolean | { attempts: number; backoff_ms?: number; on?: ("lost" | "timeout" | "failed")[] } | undefined;
  /** The longest run of an attempt, from its last sign of progress. */
  timeout_ms?: number | undefined;
  /** The longest wait for its first assignment. */
  expires_ms?: number | undefined;
  /** Not before this moment, ms since 1970. */
  not_before?: number | undefined;
  /** Tasks that must complete first. */
  depends_on?: string[] | undefined;
  group?: string | undefined;
}

/** One assignment of a task to one agent. */
export interface TaskAttempt {
  attempt: number;
  agent: string;
  assigned_at: number;
  accepted_at: number | null;
  ended_at: number | null;
  end: string | null;
}

/** Why a task is not with an agent. */
export interface TaskWait {
  for: "agent" | "dependency" | "not_before" | "backoff";
  since: number;
  until?: number;
  tasks?: string[];
  agents?: { can: number; free: number };
}

/** What is known of a task. */
export interface TaskDetails {
  task: {
    id: string;
    title: string;
    executor: string | null;
    status: TaskStatus;
    assign: "one" | "all";
    priority: number | null;
    requires: string[] | null;
    agent: string | null;
    group: string | null;
    depends_on: string[] | null;
    retry: unknown;
    timeout_ms: number | null;
    expires_ms: number | null;
    not_before: number | null;
    attempt: number | null;
    reason: string | null;
    result: unknown;
    created_at: number;
    updated_at: number;
    ended_at: number | null;
  };
  attempts: TaskAttempt[];
  waits: TaskWait | null;
}

/** How the queue stands. */
export interface Queue {
  pending: number;
  waiting: { requires: string[]; agent: string | null; priority: number; count: number; oldest_at: number }[];
  held: { not_before: number; dependency: number; backoff: number };
  agents: { free: number; busy: number; slots: number; taken: number };
}
