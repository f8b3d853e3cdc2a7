/** One list as the server has it: totals, search and order are the server's; rows follow their feed. */

import { signal } from "@preact/signals";
import type { EventFrame, Subscription } from "fanfare";
import { useEffect, useMemo } from "preact/hooks";
import { CALM_MS, every, oncePerFrame } from "./clock.ts";
import { api, client, HttpError } from "./gateway.ts";

export interface Row {
  id: string;
  [key: string]: unknown;
}

export interface Wanted {
  status: string;
  q: string;
  sort: string;
}

/** How a list is read and kept up. */
export interface Plan<T extends Row> {
  /** The noun of its path and of its answer. */
  noun: string;
  /** Its feed; without one it is read again now and then. */
  channel?: string;
  /** What an event makes of a row that is shown. */
  apply?(row: T, event: EventFrame): T;
  /** The ids of the rows that an event is about. */
  about?(event: EventFrame): string[];
}

interface Answer {
  total?: number | null;
  by_status?: Record<string, number> | null;
  next?: string | null;
  [noun: string]: unknown;
}

const PAGE = 100;
/** The first page is read again at most so often, while events come that it may not show. */
const AGAIN_MS = 2000;
/** And so often where no events tell. */
const IDLE_MS = 10_000;
const ROWS_MAX = 2000;

export class List<T extends Row> {
  readonly rows = signal<readonly T[]>([]);
  /** How many fit the search and the status; null while unknown. */
  readonly total = signal<number | null>(null);
  /** How many fit the search by status; null while unknown. */
  readonly byStatus = signal<Record<string, number> | null>(null);
  readonly next = signal<string | null>(null);
  /** Why the last reading failed; null when it did not. */
  readonly failure = signal<HttpError | null>(null);
  /** When it was last read, ms since 1970; null before. */
  readonly readAt = signal<number | null>(null);
  #feed: Subscription | null = null;
  #stop: () => void;
  #dirty = false;
  #lastRead = 0;
  #closed = false;
  /** Rows beyond the first page, which reading that again must not lose. */
  #later: T[] = [];
  #pending = new Map<string, T>();
  readonly #show = oncePerFrame(() => {
    if (this.#pending.size === 0) return;
    this.rows.value = this.rows.value.map((row) => this.#pending.get(row.id) ?? row);
    this.#later = this.#later.map((row) => this.#pending.get(row.id) ?? row);
    this.#pending.clear();
  }, CALM_MS);

  constructor(
    readonly plan: Plan<T>,
    readonly wanted: Wanted,
  ) {
    if (plan.channel) this.#follow(plan.channel);
    this.#stop = every(AGAIN_MS, () => {
      if (this.#dirty || Date.now() - this.#lastRead >= IDLE_MS || this.failure.peek()) void this.read();
    });
    void this.read();
  }

  close(): void {
    this.#closed = true;
    this.#stop();
    this.#feed?.unsubscribe();
  }

  #follow(channel: string): void {
    const feed = client.subscribe<string>(channel) as unknown as Subscription;
    feed.on("event", (event) => this.#event(event));
    feed.on("gap", () => (this.#dirty = true));
    feed.on("error", () => {}); // The reading says what cannot be read.
    feed.on("subscribed", ({ recovered }) => {
      if (!recovered) this.#dirty = true;
    });
    this.#feed = feed;
  }

  #event(event: EventFrame): void {
    this.#dirty = true;
    const ids = this.plan.about?.(event) ?? (event.id === null ? [] : [event.id]);
    for (const row of this.rows.peek()) {
      if (!ids.includes(row.id) || !this.plan.apply) continue;
      this.#pending.set(row.id, this.plan.apply(this.#pending.get(row.id) ?? row, event));
      this.#show();
    }
  }

  /** Reads the first page again. */
  async read(): Promise<void> {
    this.#dirty = false;
    this.#lastRead = Date.now();
    const answer = await this.#ask();
    if (!answer) return;
    const first = this.#take(answer);
    const there = new Set(first.map(({ id }) => id));
    if (this.#later.length === 0) this.next.value = answer.next ?? null;
    this.rows.value = [...first, ...this.#later.filter(({ id }) => !there.has(id))];
  }

  /** The next page. */
  async more(): Promise<void> {
    const cursor = this.next.value;
    const answer = cursor === null ? null : await this.#ask(cursor);
    if (!answer) return;
    const known = new Set(this.rows.value.map(({ id }) => id));
    const fresh = this.#take(answer).filter(({ id }) => !known.has(id));
    this.#later = [...this.#later, ...fresh].slice(0, ROWS_MAX);
    this.rows.value = [...this.rows.value, ...fresh];
    this.next.value = this.#later.length < ROWS_MAX ? (answer.next ?? null) : null;
  }

  #take(answer: Answer): T[] {
    this.total.value = answer.total ?? null;
    this.byStatus.value = answer.by_status ?? null;
    this.readAt.value = Date.now();
    const rows = answer[this.plan.noun];
    return Array.isArray(rows) ? (rows as T[]).map((row) => ({ ...row, id: String(row.id) })) : [];
  }

  async #ask(cursor = ""): Promise<Answer | null> {
    const asked = new URLSearchParams({ limit: String(PAGE) });
    for (const [key, value] of Object.entries({ ...this.wanted, cursor })) if (value) asked.set(key, value);
    try {
      const answer = await api<Answer>(`/v1/${this.plan.noun}?${asked}`);
      this.failure.value = null;
      return this.#closed ? null : answer;
    } catch (error) {
      this.failure.value = error instanceof HttpError ? error : new HttpError(0, String(error));
      return null;
    }
  }
}

/** A list for as long as the component is in the page; another one for other wishes. */
export function useList<T extends Row>(plan: Plan<T>, wanted: Wanted): List<T> {
  const { status, q, sort } = wanted;
  const list = useMemo(() => new List(plan, { status, q, sort }), [plan, status, q, sort]);
  useEffect(() => () => list.close(), [list]);
  return list;
}
