/** An agent: takes tasks, works on them, and answers for each result until it is recorded (contract §8). */

import { FanfareError } from "./codes.ts";
import type { Json, ServerFrame } from "./frames.ts";
import { type ConnectOptions, GatewayClient } from "./gateway-client.ts";
import { type AttemptName, Job, type StopReason, type TaskFrame } from "./job.ts";
import type { Session } from "./session.ts";

export type { Connection, ConnectionEvents, ConnectOptions } from "./gateway-client.ts";
export { type AttemptName, Job, type StopReason, type TaskFrame } from "./job.ts";
export { FanfareError };

/** What it returns is the result, what it throws the failure. */
export type Handler<P = Json> = (job: Job<P>) => unknown;

export interface AgentOptions<P = Json> extends ConnectOptions {
  /** What tasks may require of it. */
  capabilities?: string[];
  /** How many jobs it works on at once; 1 by default. */
  slots?: number;
  /** Whatever else the agent list should show. */
  metadata?: Json;
  handler: Handler<P>;
  /** Answers with a reason not to take a job, before it begins. */
  refuse?: (job: Job<P>) => string | null | undefined;
}

/** What the server says to agents. */
type AgentFrame =
  | TaskFrame
  | ({ type: "task-cancel" | "task-recorded"; reason?: StopReason } & AttemptName)
  | { type: "ack" }
  | { type: "ping"; timestamp?: unknown };

/** Lines and progress that wait for a connection; the oldest go first. */
const UNSAID_MAX = 1000;
/** The largest frame of an agent, where the server names no other limit. */
const FRAME_BYTES = 4 * 1024 * 1024;

const same = (held: AttemptName | undefined, frame: AttemptName): boolean => held !== undefined && held.attempt === frame.attempt;

/**
 * Works by a token of `role: "agent"`. Work goes on over a reconnection, and stops by itself when the
 * server was not heard for a job's `grace`, because then the task is given to another.
 */
export class Agent<P = Json> extends GatewayClient {
  readonly #work: AgentOptions<P>;
  readonly #jobs = new Map<string, Job<P>>();
  /** Results that the server has not confirmed. */
  readonly #owed = new Map<string, Json & AttemptName>();
  #unsaid: Json[] = [];
  #acknowledged: Session | null = null;
  #beatMs = 0;
  #watch: ReturnType<typeof setInterval> | undefined;
  #over: { done: () => void; fail: (error: FanfareError) => void } | null = null;

  constructor(url: string | URL, options: AgentOptions<P>) {
    super(url, options);
    this.#work = options;
    this.on("error", (error) => error.terminal && this.#finish(error));
  }

  /** Works until `stop()`, or until the server refuses the agent for good, which is thrown. */
  run(): Promise<void> {
    const over = new Promise<void>((done, fail) => (this.#over = { done, fail }));
    this.#watch = setInterval(() => this.#stopSilent(), 50);
    this.connect();
    return over;
  }

  /** Stops all work and says `offline`, so that its tasks go to others at once. */
  stop(): void {
    this.session?.send({ type: "agent-status", status: "offline" });
    this.#finish(null);
    this.disconnect();
  }

  protected transport(): "websocket" | null {
    return "websocket";
  }

  protected query(): string {
    return ""; // Agents need both directions.
  }

  /** Says who we are and what we still run, then what was done or said meanwhile. */
  protected ready(session: Session): void {
    const { capabilities = [], slots = 1, metadata } = this.#work;
    const held: AttemptName[] = [...[...this.#jobs.values()].map(({ name }) => name), ...this.#owed.values()];
    const running = held.filter(({ attempt }) => attempt !== undefined).map(({ taskId, attempt }) => ({ taskId, attempt }));
    const said = { ...metadata, slots, accepts: true, cancels: true, running };
    session.send({ type: "agent-status", status: "online", capabilities, metadata: said });
    for (const frame of [...this.#unsaid.splice(0), ...this.#owed.values()]) session.send(frame);
    this.#beatMs = 0;
    this.tick();
  }

  protected hear(session: Session, said: ServerFrame): void {
    const frame = said as unknown as AgentFrame;
    switch (frame.type) {
      case "task":
        if (typeof frame.taskId === "string") this.#take(new Job<P>(frame, (words) => this.#say(words)));
        return;
      case "task-cancel": {
        const job = this.#jobs.get(frame.taskId);
        if (job && same(job.name, frame)) this.#drop(job, frame.reason ?? "cancelled");
        if (same(this.#owed.get(frame.taskId), frame)) this.#owed.delete(frame.taskId);
        return;
      }
      case "task-recorded":
        if (same(this.#owed.get(frame.taskId), frame)) this.#owed.delete(frame.taskId);
        return;
      case "ack":
        this.#acknowledged = session;
        return;
      case "ping":
        session.send({ type: "pong", timestamp: frame.timestamp });
    }
  }

  protected ended(session: Session): void {
    if (this.#acknowledged === session) this.#acknowledged = null;
  }

  /** The server before is needed until the next one knows us. */
  protected settled(session: Session): boolean {
    return this.#acknowledged === session;
  }

  /** Asks for signs of life while work depends on them. */
  protected tick(): void {
    const graces = [...this.#jobs.values()].flatMap(({ grace }) => grace ?? []);
    const beatMs = graces.length > 0 ? Math.min(...graces) / 3 : this.patience;
    if (beatMs !== this.#beatMs && this.session) this.link.beat((this.#beatMs = beatMs));
  }

  #stopSilent(): void {
    const silence = Date.now() - this.link.seen;
    for (const job of this.#jobs.values()) if (job.grace !== null && silence >= job.grace) this.#drop(job, "lost");
  }

  #take(job: Job<P>): void {
    const known = this.#jobs.get(job.id);
    if (known && same(known.name, job.name)) return; // Sent again: it is in hand.
    if (known) this.#drop(known, "stale");
    const owed = this.#owed.get(job.id);
    if (owed && same(owed, job.name)) return this.#say(owed);
    this.#owed.delete(job.id);
    const reason = this.#work.refuse?.(job);
    if (reason) return job.tell("task-reject", { reason });
    job.tell("task-accept", {});
    this.#jobs.set(job.id, job);
    this.tick();
    void this.#do(job);
  }

  /** Works, and says what came of it; what was stopped is nobody's any more. */
  async #do(job: Job<P>): Promise<void> {
    const outcome = await this.#result(job);
    if (this.#jobs.get(job.id) === job) this.#jobs.delete(job.id);
    this.tick();
    if (job.cancelled) return;
    const frame = { type: "task-result", ...job.name, ...outcome };
    if (job.attempt !== null) this.#owed.set(job.id, frame);
    this.#say(frame);
  }

  async #result(job: Job<P>): Promise<Json> {
    try {
      const result = (await this.#work.handler(job)) ?? null;
      const size = new TextEncoder().encode(JSON.stringify(result)).length;
      if (size > (this.session?.frameBytes ?? FRAME_BYTES) - 1024) return { status: "failed", result: { error: "too_large" } };
      return { status: "completed", result };
    } catch (error) {
      return { status: "failed", result: { error: error instanceof Error ? error.message : String(error) } };
    }
  }

  #drop(job: Job<P>, why: StopReason): void {
    this.#jobs.delete(job.id);
    job.stop(why);
  }

  /** Sends a frame; what cannot be sent now waits. A result of an attempt is owed anyway. */
  #say(frame: Json): void {
    if (this.session) this.session.send(frame);
    else if (frame.type !== "task-result" || frame.attempt === undefined) this.#unsaid = [...this.#unsaid, frame].slice(-UNSAID_MAX);
  }

  #finish(error: FanfareError | null): void {
    clearInterval(this.#watch);
    for (const job of this.#jobs.values()) this.#drop(job, "lost");
    if (error) this.#over?.fail(error);
    else this.#over?.done();
    this.#over = null;
  }
}
