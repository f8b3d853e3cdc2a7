/** One task in an agent's hands. */

import type { Json } from "./frames.ts";

/** Why the work on a job was stopped. `lost`: the server was not heard for `grace`, so the task is another's. */
export type StopReason = "cancelled" | "timeout" | "stale" | "lost";

/** The `task` frame. */
export interface TaskFrame extends Json {
  type: "task";
  taskId: string;
  taskType?: string;
  payload?: Json;
  attempt?: number;
  graceMs?: number;
  timeoutMs?: number;
  priority?: number;
  dependencies?: { taskId: string; result: unknown }[];
}

/** What names a task, and its attempt, in every frame. */
export interface AttemptName {
  taskId: string;
  attempt?: number;
}

export class Job<P = Json> {
  readonly id: string;
  /** The task's executor. */
  readonly type: string;
  readonly payload: P;
  /** Which attempt this is; null for a task that goes to all agents. */
  readonly attempt: number | null;
  /** Milliseconds without a word from the server after which the work must stop. */
  readonly grace: number | null;
  /** Milliseconds the attempt may run after its last `progress`. */
  readonly timeout: number | null;
  readonly priority: number | null;
  /** The tasks that had to complete first. */
  readonly dependencies: readonly { taskId: string; result: unknown }[];
  /** @internal */
  readonly name: AttemptName;
  readonly #abort = new AbortController();
  readonly #say: (frame: Json) => void;

  /** @internal */
  constructor(frame: TaskFrame, say: (frame: Json) => void) {
    this.id = frame.taskId;
    this.type = frame.taskType ?? "unknown";
    this.payload = (frame.payload ?? {}) as P;
    this.attempt = frame.attempt ?? null;
    this.grace = frame.graceMs ?? null;
    this.timeout = frame.timeoutMs ?? null;
    this.priority = frame.priority ?? null;
    this.dependencies = frame.dependencies ?? [];
    this.name = { taskId: this.id, ...(frame.attempt !== undefined && { attempt: frame.attempt }) };
    this.#say = say;
  }

  /** Aborted when the work must stop; give it to `fetch` and the like. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Why the work must stop; null while it may go on. */
  get cancelled(): StopReason | null {
    return this.#abort.signal.aborted ? (this.#abort.signal.reason as StopReason) : null;
  }

  /** Says how far it is; this also begins the time-out anew. */
  progress(progress?: number, message?: string): void {
    this.tell("task-progress", { ...(progress !== undefined && { progress }), ...(message !== undefined && { message }) });
  }

  /** Adds lines to the task's log. */
  log(...lines: string[]): void {
    this.tell("task-log", { lines });
  }

  /** @internal A task for all has no words but its result. */
  tell(type: string, what: Json): void {
    if (this.attempt !== null && !this.cancelled) this.#say({ type, ...this.name, ...what });
  }

  /** @internal */
  stop(why: StopReason): void {
    this.#abort.abort(why);
  }
}
