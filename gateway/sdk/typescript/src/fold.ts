/**
 * The fold: event by event from one state of an entity to the next. The same rules as the server's
 * (`shared/domain/src/event`), so that events travel small and everybody comes to the same state;
 * both run the vectors of `tests/vectors/fold`.
 */

import type { EventFrame, Json } from "./frames.ts";

/** The most log lines that a state keeps, and the most bytes of them. */
export const LOG_LINES_MAX = 100;
export const LOG_BYTES_MAX = 131_072;

/** What has a channel with a state. */
export type EntityKind = "deployment" | "task" | "agent" | "container";

/** What one event makes of a state. `data` is readable text, `recorded` ms since 1970. */
export type Fold = (id: string, state: Json | null, event: EventFrame, data: Json, recorded: number) => Json | null;

const isText = (value: unknown): value is string => typeof value === "string";
const text = (value: unknown): string => (isText(value) ? value : JSON.stringify(value));

/** What no Unicode string can hold, or no database, reads U+FFFD. */
function sound<T>(value: T): T {
  if (isText(value)) {
    return value.replace(/[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff\0]/g, (c) => (c.length > 1 ? c : "\ufffd")) as T;
  }
  if (Array.isArray(value)) return value.map(sound) as T;
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [sound(key), sound(member)])) as T;
}

/** The lines of a log event: `{lines:[…]}` or `{message}`. */
export function logLines(data: Json): string[] {
  if (Array.isArray(data.lines)) return data.lines.map(text);
  return data.message === undefined ? [] : [text(data.message)];
}

const encoder: TextEncoder = /* @__PURE__ */ new TextEncoder();
const bytes = (line: unknown): number => (isText(line) ? encoder.encode(line).length : 64);

/** The log tail of a state, whatever stands there. */
function kept(logs: unknown): unknown[] {
  if (Array.isArray(logs)) return logs;
  if (!isText(logs)) return [];
  const lines = logs.split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/** Lines behind a log tail, within its bounds; the oldest go first. */
function tail(logs: unknown, lines: string[]): unknown[] {
  const all = [...kept(logs), ...lines].slice(-LOG_LINES_MAX);
  let size = all.reduce<number>((sum, line) => sum + bytes(line), 0);
  while (size > LOG_BYTES_MAX && all.length > 1) size -= bytes(all.shift());
  const [only] = all;
  if (size > LOG_BYTES_MAX && isText(only)) all[0] = new TextDecoder().decode(encoder.encode(only).slice(0, LOG_BYTES_MAX), { stream: true });
  return all;
}

export const seconds = (ms: number): number => Math.trunc(ms / 1000);

/** 1970 for what is no time before the year 9999. */
const iso = (ms: number): string => new Date(ms >= 0 && ms <= 253_370_764_799_999 ? ms : 0).toISOString();

/** Members of `data` that are there. */
function some(data: Json, ...keys: string[]): Json {
  return Object.fromEntries(keys.filter((key) => data[key] !== undefined).map((key) => [key, data[key]]));
}

const deployment: Fold = (id, before, event, data, recorded) => {
  const state: Json = before ?? { id, projectId: id, status: "pending", progress: 0, stage: "Initializing", timestamp: recorded, logs: [] };
  const stamp = (line: string): string => `[${iso(recorded)}] ${line}`;
  const timestamp = Math.max(Number.isInteger(state.timestamp) ? (state.timestamp as number) : 0, recorded);
  if (event.event === "deployment_log") return { ...state, logs: tail(state.logs, logLines(data).map(stamp)), timestamp };
  const { message, logs } = data;
  const lines = isText(message) && message !== "" ? [stamp(message)] : [];
  return { ...state, ...data, logs: tail(Array.isArray(logs) ? logs : state.logs, lines), timestamp };
};

const task: Fold = (id, before, event, data, recorded) => {
  const state: Json = { ...(before ?? { id, status: "pending" }), updated_at: seconds(recorded) };
  const to = (status: string, ...keys: string[]): Json => Object.assign(state, { status }, some(data, ...keys));
  switch (event.event) {
    case "task_log":
      return { ...state, logs: tail(state.logs, logLines(data)) };
    case "task_progress":
      Object.assign(state, some(data, "progress", "message"));
      return state.status === "pending" || state.status === "assigned" ? to("running") : state;
    case "task_assigned":
      return to("assigned", "attempt", "agent");
    case "task_accepted":
      return to("running", "attempt", "agent");
    case "task_released":
      return { ...to("pending", "attempt"), agent: null };
    case "task_cancelled":
      return to("cancelled", "attempt", "reason");
    case "task_expired":
      return to("expired");
    case "task_retried":
      return { ...to("pending"), agent: null, result: null, reason: null };
  }
  const { id: _, created_at, updated_at, ...rest } = data;
  Object.assign(state, rest);
  if (event.event === "task_created") state.created_at ??= seconds(recorded);
  if (event.event === "task_result") {
    state.result ??= null;
    if (!isText(data.status)) state.status = data.error == null ? "completed" : "failed";
  }
  return state;
};

const agent: Fold = (id, before, _, data, recorded) => ({ agentName: id, ...before, ...data, agentId: id, updated_at: recorded });

/** A number other than 0, or the decimal digits of one. */
const failed = (code: unknown): boolean => (typeof code === "number" ? code !== 0 : isText(code) && /^-?\d*[1-9]\d*$/.test(code));

const container: Fold = (id, before, event, data, recorded) => {
  const state: Json = { ...(before ?? { id, status: "starting", lines: 0 }), updated_at: recorded };
  switch (event.event) {
    case "log":
      return { ...state, lines: (Number.isInteger(state.lines) ? (state.lines as number) : 0) + 1 };
    case "status":
      return { ...state, ...some(data, "status", "message") };
    case "error":
      return { ...state, ...some(data, "error", "code") };
    default:
      return { ...state, ...some(data, "exitCode", "message", "duration"), status: failed(data.exitCode) ? "failed" : "completed" };
  }
};

const FOLDS: Record<EntityKind, Fold> = { deployment, task, agent, container };

/** Which kind of entity an event of each type changes. */
const CHANGES: Record<string, EntityKind> = {
  deployment_update: "deployment",
  deployment_log: "deployment",
  agent_status: "agent",
  agent_update: "agent",
  log: "container",
  status: "container",
  error: "container",
  complete: "container",
};
for (const step of ["created", "update", "log", "result", "progress", "assigned", "accepted", "released", "cancelled", "expired", "retried"]) {
  CHANGES[`task_${step}`] = "task";
}

/**
 * The state of one entity after `event`. `state` is null before its first event; an event that says
 * nothing about an entity of this kind answers with the state that it was given.
 */
export function foldEntity(kind: EntityKind, id: string, state: Json | null, event: EventFrame): Json | null {
  return CHANGES[event.event] === kind ? applied(FOLDS[kind], id, state, event) : state;
}

/** Folds an event whatever its type; free messages change nothing. */
export function applied(fold: Fold, id: string, state: Json | null, event: EventFrame): Json | null {
  return event.free ? state : fold(id, state, event, sound(event.data), event.recorded ?? event.at);
}

/** The state of the entity that `event` is about; for a feed, whose events name their entities. */
export function fold<S extends object = Json>(state: S | null, event: EventFrame<unknown>): S | null {
  const kind = CHANGES[event.event];
  if (!kind || event.id === null) return state;
  return foldEntity(kind, event.id, state as Json | null, event as EventFrame) as S | null;
}
