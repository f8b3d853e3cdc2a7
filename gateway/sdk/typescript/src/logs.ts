/** The log of one deployment, task or container: its newest lines, what follows, and what came before. */

import type { Fanfare } from "./client.ts";
import { Emitter } from "./emitter.ts";
import { logLines } from "./fold.ts";
import type { EventFrame, GapFrame, Position } from "./frames.ts";
import type { Subscription } from "./subscription.ts";

/** One row of a log: a line, or the honest absence of some. */
export type LogRow =
  | { kind: "line"; key: string; text: string; at: number; level?: string }
  | { kind: "gap"; key: string; from: Position; to: Position; cause: GapFrame["cause"] };

/** The log lines in an event of a deployment, task or container, if it carries any. */
export function linesOf({ event, data }: EventFrame): string[] {
  if (event === "error" && typeof data.error === "string") return [data.error];
  return /^(\w+_)?(log|update|progress)$/.test(event) ? logLines(data).filter((line) => line !== "") : [];
}

function rowsOf(event: EventFrame): LogRow[] {
  const { level } = event.data;
  const extra = typeof level === "string" ? { level } : event.event === "error" ? { level: "error" } : {};
  return linesOf(event).map((text, n) => ({ kind: "line", key: `${event.position}/${n}`, text, at: event.at, ...extra }));
}

export interface LogsOptions {
  /** How many events come first; 100 by default. */
  tail?: number | undefined;
  /** How many rows are kept; the oldest go first. 10,000 by default. */
  limit?: number | undefined;
}

export class Logs extends Emitter<{ change: readonly LogRow[] }> {
  rows: readonly LogRow[] = [];
  /** Whether there may be lines before the first row. */
  hasEarlier = true;
  readonly subscription: Subscription;
  readonly #client: Fanfare;
  #limit: number;
  /** The oldest event that is shown; pages end with it. */
  #first: Position | null = null;

  constructor(client: Fanfare, channel: string, { tail = 100, limit = 10_000 }: LogsOptions = {}) {
    super();
    this.#client = client;
    this.#limit = limit;
    this.subscription = client.subscribe<string>(channel, { tail });
    this.subscription.on("event", (event) => this.#add(event));
    this.subscription.on("gap", ({ from, to, cause }) => this.#show([...this.rows, { kind: "gap", key: `gap/${to}`, from, to, cause }]));
    this.subscription.once("subscribed", ({ position }) => (this.#first ??= position));
  }

  close(): void {
    this.subscription.unsubscribe();
  }

  /** Puts an earlier page of the archive in front. */
  async loadEarlier(limit = 500): Promise<void> {
    if (!this.hasEarlier) return;
    const { events, next } = await this.#client.history<string>(this.subscription.channel, { since: this.#first ?? undefined, limit, reverse: true });
    const shown = this.rows.some(({ key }) => key.startsWith(`${this.#first}/`));
    const older = shown ? events.filter(({ position }) => position !== this.#first) : events;
    this.hasEarlier = next !== null;
    this.#first = next ?? this.#first;
    const rows = older.reverse().flatMap(rowsOf);
    this.rows = [...rows, ...this.rows];
    this.#limit = Math.max(this.#limit, this.rows.length); // What was asked for stays.
    this.emit("change", this.rows);
  }

  #add(event: EventFrame): void {
    if (event.tail && this.rows.length === 0) this.#first = event.position;
    const rows = rowsOf(event);
    if (rows.length > 0) this.#show([...this.rows, ...rows]);
  }

  #show(rows: readonly LogRow[]): void {
    if (rows.length > this.#limit) {
      this.hasEarlier = true;
      const first = rows[rows.length - this.#limit];
      if (first?.kind === "line") this.#first = first.key.slice(0, first.key.lastIndexOf("/"));
    }
    this.rows = rows.slice(-this.#limit);
    this.emit("change", this.rows);
  }
}
