/**
 * The fold: event by event from one state of an entity to the next. The same rules as the server's
 * (`shared/domain/src/event/*.rs`), so that events travel small and everybody comes to the same state.
 */

import type { EventFrame, Json } from "./frames.ts";

/** The most log lines that a state keeps. */
export const LOG_LINES_MAX = 100;

type Fold = (state: Json, event: EventFrame) => Json;

/** Keys of an entity that no event may say. */
const without = (data: Json, ...keys: string[]): Json => Object.fromEntries(Object.entries(data).filter(([key]) => !keys.includes(key)));

const text = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

/** The lines of a log event: `{lines:[…]}` or `{message}`. */
export function logLines(data: Json): string[] {
  if (Array.isArray(data.lines)) return data.lines.map(text);
  return data.message === undefined ? [] : [text(data.message)];
}

const tail = (logs: unknown, lines: string[]): string[] => [...(Array.isArray(logs) ? (logs as string[]) : []), ...lines].slice(-LOG_LINES_MAX);

const seconds = (event: EventFrame): number => Math.floor(event.at / 1000);

const deployment: Fold = (before, event) => {
  const state: Json = { projectId: event.id, status: "pending", progress: 0, stage: "Initializing", ...before };
  const stamp = (line: string): string => `[${new Date(event.at).toISOString()}] ${line}`;
  const timestamp = Math.max(Number(state.timestamp ?? 0), event.at);
  if (event.event === "deployment_log") {
    return { ...state, logs: tail(state.logs, logLines(event.data).map(stamp)), timestamp };
  }
  const { message, logs = state.logs } = event.data;
  const lines = typeof message === "string" && message !== "" ? [stamp(message)] : [];
  return { ...state, ...event.data, logs: tail(Array.isArray(logs) ? logs : state.logs, lines), timestamp };
};

const task: Fold = (before, event) => {
  const state: Json = { status: "pending", ...before, updated_at: seconds(event) };
  if (event.event === "task_log") return { ...state, logs: tail(state.logs, logLines(event.data)) };
  Object.assign(state, without(event.data, "id", "created_at", "updated_at"));
  if (event.event === "task_created") state.created_at ??= seconds(event);
  if (event.event === "task_result") {
    state.result ??= null;
    if (event.data.status === undefined) state.status = event.data.error == null ? "completed" : "failed";
  }
  return state;
};

const agent: Fold = (before, event) => ({
  agentName: event.id,
  ...before,
  ...without(event.data, "agentId"),
  agentId: event.id,
  updated_at: event.at,
});

const container: Fold = (before, event) => {
  const state: Json = { status: "starting", lines: 0, ...before, updated_at: event.at };
  const copy = (...keys: string[]): void => {
    for (const key of keys) if (event.data[key] !== undefined) state[key] = event.data[key];
  };
  if (event.event === "log") state.lines = Number(state.lines) + 1;
  else if (event.event === "status") copy("status", "message");
  else if (event.event === "error") copy("error", "code");
  else if (event.event === "complete") {
    copy("exitCode", "message", "duration");
    state.status = event.data.exitCode ? "failed" : "completed";
  }
  return state;
};

const FOLDS: Record<string, Fold> = {
  deployment_update: deployment,
  deployment_log: deployment,
  task_created: task,
  task_update: task,
  task_log: task,
  task_result: task,
  agent_status: agent,
  agent_update: agent,
  log: container,
  status: container,
  error: container,
  complete: container,
};

/**
 * The state after `event`. `state` is null before the entity's first event; an event that changes
 * no state answers with the state that it was given.
 */
export function fold<S extends Json>(state: S | null, event: EventFrame): S | null {
  const next = FOLDS[event.event];
  if (!next || event.id === null) return state;
  return next({ ...(next === agent ? {} : { id: event.id }), ...state }, event) as S;
}
