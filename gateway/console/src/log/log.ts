/** The log of one channel, whatever its length: its end first, holes where it was not read yet, then what follows live. */

import { signal } from "@preact/signals";
import type { EventFrame, GapFrame, Json, Position, Subscription } from "fanfare";
import { oncePerFrame } from "../clock.ts";
import { api, client } from "../gateway.ts";
import { append, type Gap, type Hole, type Line, type LogRow } from "./lines.ts";
import { epoch, ordinal, positionOf } from "./position.ts";
import { enter, type Stage } from "./stages.ts";

/** A page of the archive (contract §6). */
export interface Archive {
  events: EventFrame[];
  next: Position | null;
  head: Position;
  gap?: { from: Position; to: Position };
}

const PAGE = 500;
/** Calls of the server that look for stages, of 10,000 events each. */
const STAGE_PAGES_MAX = 50;
/** More rows than this are let go again where nobody looks. */
const ROWS_MAX = 60_000;

export function archive(channel: string, query: { since?: Position | null; limit?: number; reverse?: boolean; q?: string }): Promise<Archive> {
  const asked = new URLSearchParams({ limit: String(PAGE) });
  for (const [key, value] of Object.entries(query)) if (value !== undefined && value !== null && value !== false) asked.set(key, String(value));
  return api<Archive>(`/v1/channels/${encodeURIComponent(channel)}/events?${asked}`);
}

/** Follows one channel until `close`. */
export class Log {
  /** Lines, holes and gaps in order. Changed in place: `version` rises. */
  readonly rows: LogRow[] = [];
  readonly version = signal(0);
  readonly state = signal<Json | null>(null);
  readonly stages = signal<readonly Stage[]>([]);
  readonly loading = signal(true);
  /** Why the log cannot be read or followed; empty when it can. */
  readonly error = signal("");
  /** Number of the last event. */
  readonly events = signal(0);
  /** When the first event was, as far as it was read; null before. */
  readonly start = signal<number | null>(null);
  /** Columns of the longest line so far. */
  longest = 0;
  /** Which rows are looked at: they stay. */
  sight: readonly [number, number] = [0, 0];
  /** Done when the end of the log was read, or could not be. */
  readonly begun: Promise<void>;
  #last: Position | null = null;
  #early: (EventFrame | GapFrame)[] | null = [];
  #reached: Position | null = null;
  #busy = new Set<Hole>();
  #stages: Stage[] = [];
  readonly #subscription: Subscription;
  readonly #changed = oncePerFrame(() => {
    this.events.value = ordinal(this.#last);
    this.version.value++;
    this.stages.value = this.#stages;
  });

  constructor(readonly channel: string) {
    this.#subscription = client.subscribe<string>(channel) as unknown as Subscription;
    const take = (item: EventFrame | GapFrame): void => void (this.#early ? this.#early.push(item) : this.#add(item));
    this.#subscription.on("event", take);
    this.#subscription.on("gap", take);
    this.#subscription.on("state", (state) => (this.state.value = state));
    this.#subscription.on("error", (error) => (this.error.value = error.message));
    this.#subscription.on("subscribed", ({ position, recovered }) => {
      if (!recovered) this.#joins(position);
    });
    this.begun = this.#begin();
  }

  close(): void {
    this.#subscription.unsubscribe();
  }

  /** Reads the end of the log; what came meanwhile follows. */
  async #begin(): Promise<void> {
    try {
      const page = await archive(this.channel, { reverse: true });
      this.error.value = "";
      this.rows.length = 0;
      this.#last = page.head;
      if (page.next) this.rows.push(hole(null, page.next, 1));
      else this.#missing(1, ordinal(page.events.at(-1)?.position ?? page.head), this.rows);
      for (const event of page.events.reverse()) this.#write(event, this.rows);
      void this.#first(page);
    } catch (error) {
      this.error.value = (error as Error).message;
    }
    this.loading.value = false;
    const early = this.#early ?? [];
    this.#early = null;
    if (this.#reached) this.#joins(this.#reached);
    for (const item of early) this.#add(item);
    this.#changed();
  }

  /** When the log begins, which the relative times count from. */
  async #first(page: Archive): Promise<void> {
    const oldest = page.next ? (await archive(this.channel, { limit: 1 }).catch(() => null))?.events[0] : this.#oldest();
    if (oldest) this.start.value = oldest.at;
  }

  #oldest(): Line | undefined {
    return this.rows.find((row): row is Line => row.kind === "line");
  }

  /** The live events begin behind this position: what lies between was not read. */
  #joins(position: Position | null): void {
    this.#reached = position;
    if (this.#early || position === null) return;
    if (this.#last !== null && epoch(position) !== epoch(this.#last)) {
      this.#early = [];
      this.#stages = [];
      return void this.#begin();
    }
    if (ordinal(position) <= ordinal(this.#last)) return;
    this.rows.push(hole(this.#last, position, ordinal(this.#last) + 1));
    this.#last = position;
    this.#changed();
  }

  #add(item: EventFrame | GapFrame): void {
    if (item.type === "gap") {
      if (item.cause === "epoch" || item.cause === "ahead") return; // The whole log is read again.
      this.#missing(ordinal(item.from), ordinal(item.to) + 1, this.rows, item.cause);
      this.#last = item.to;
    } else {
      if (ordinal(item.position) <= ordinal(this.#last)) return;
      this.#last = item.position;
      this.#write(item, this.rows);
      this.start.value ??= item.at;
      if (this.rows.length > ROWS_MAX + 1000) this.#letGo();
    }
    this.#changed();
  }

  #write(event: EventFrame, into: LogRow[]): void {
    const from = into.length;
    append(into, event);
    for (let n = from; n < into.length; n++) this.longest = Math.max(this.longest, (into[n] as Line).columns);
    this.#stages = enter(this.#stages, event);
  }

  #missing(from: number, to: number, into: LogRow[], cause: Gap["cause"] = "retention"): void {
    if (to > from) into.push({ kind: "gap", missing: to - from, cause });
  }

  /** Reads a part of a hole: its end, its beginning, or around an event in the middle of it. */
  async fill(hole: Hole, where: "end" | "start" | number): Promise<void> {
    if (this.#busy.has(hole)) return;
    this.#busy.add(hole);
    hole.failure = "";
    try {
      const until = typeof where === "number" ? positionOf(hole.until, Math.min(hole.to, where + PAGE / 2)) : hole.until;
      if (where === "start") await this.#fillStart(hole);
      else await this.#fillEnd(hole, until ?? hole.until);
    } catch (error) {
      hole.failure = (error as Error).message;
    }
    this.#busy.delete(hole);
    if (this.rows.length > ROWS_MAX) this.#letGo();
    this.#changed();
  }

  async #fillEnd(old: Hole, until: Position): Promise<void> {
    const page = await archive(this.channel, { since: until, reverse: true });
    const read = page.events.filter(({ position }) => ordinal(position) >= old.from).reverse();
    const rows: LogRow[] = [];
    const rest = page.next !== null && ordinal(page.next) >= old.from ? page.next : null;
    if (rest) rows.push(hole(old.after, rest, old.from));
    else this.#missing(old.from, ordinal(read[0]?.position ?? until), rows);
    for (const event of read) this.#write(event, rows);
    if (ordinal(until) < old.to) rows.push(hole(until, old.until, ordinal(until) + 1));
    this.#replace(old, rows);
  }

  async #fillStart(old: Hole): Promise<void> {
    const page = await archive(this.channel, { since: old.after });
    const read = page.events.filter(({ position }) => ordinal(position) <= old.to);
    const rows: LogRow[] = [];
    const first = read[0];
    if (first) this.#missing(old.from, ordinal(first.position), rows);
    for (const event of read) this.#write(event, rows);
    const last = read.at(-1)?.position;
    if (last && ordinal(last) < old.to) rows.push(hole(last, old.until, ordinal(last) + 1));
    this.#replace(old, rows);
  }

  #replace(old: Hole, rows: LogRow[]): void {
    const at = this.rows.indexOf(old);
    if (at < 0) return;
    const tail = this.rows.splice(at);
    for (const row of rows) this.rows.push(row);
    for (let n = 1; n < tail.length; n++) this.rows.push(tail[n] as LogRow);
  }

  /** The row of an event, read if need be; the next one where it says nothing. Null when it cannot be had. */
  async reach(event: number, part = 1): Promise<number | null> {
    for (let tries = 0; tries < 3; tries++) {
      const index = this.rows.findIndex((row) =>
        row.kind === "hole" ? row.to >= event : row.kind === "line" && (row.event > event || (row.event === event && row.part >= part)),
      );
      if (index < 0) return null;
      const row = this.rows[index];
      if (row?.kind !== "hole") return index;
      if (row.from > event) return index;
      await this.fill(row, event);
    }
    return null;
  }

  /** The first lines, read if need be. */
  async reachStart(): Promise<void> {
    const [first] = this.rows;
    if (first?.kind === "hole") await this.fill(first, "start");
  }

  /** Whether every line is here. */
  get whole(): boolean {
    return !this.rows.some(({ kind }) => kind === "hole");
  }

  /** Lines far from what is looked at become a hole again. */
  #letGo(): void {
    const surplus = this.rows.length - ROWS_MAX + 5000;
    const [top, bottom] = this.sight;
    let [from, to] = top > surplus ? [0, surplus] : [Math.max(bottom + 1000, this.rows.length - surplus), this.rows.length - 200];
    // Events stay whole: the lines of one that begins before the range stay with it.
    for (let row = this.rows[from]; from > 0 && row?.kind === "line" && positionAt(this.rows, from - 1) === row.position; row = this.rows[from]) from++;
    const inner = this.rows.slice(from, to);
    const first = inner.find((row): row is Line | Hole => row.kind !== "gap");
    const last = inner.findLast((row): row is Line | Hole => row.kind !== "gap");
    if (!first || !last || to - from < 1000) return;
    const before = this.rows.slice(0, from).findLast((row): row is Line | Hole => row.kind !== "gap");
    const after = before?.kind === "line" ? before.position : (before?.until ?? null);
    const until = last.kind === "line" ? last.position : last.until;
    const events = ordinal(after) + 1;
    for (let row = this.rows[to]; row?.kind === "line" && row.position === until; row = this.rows[to]) to++;
    this.rows.splice(from, to - from, hole(after, until, events));
  }

  /** Finds the stages of what was not read: the events that name one. */
  async readStages(): Promise<void> {
    let since: Position | null = null;
    for (let page = 0; page < STAGE_PAGES_MAX; page++) {
      const found: Archive | null = await archive(this.channel, { since, q: '"stage"' }).catch(() => null);
      for (const event of found?.events ?? []) this.#stages = enter(this.#stages, event);
      this.#changed();
      if (!found?.next || found.next === since) return;
      since = found.next;
    }
  }
}

function positionAt(rows: readonly LogRow[], index: number): Position | null {
  const row = rows[index];
  return row?.kind === "line" ? row.position : null;
}

function hole(after: Position | null, until: Position, from: number): Hole {
  return { kind: "hole", after, until, from, to: ordinal(until), failure: "" };
}
