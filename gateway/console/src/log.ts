/** The log of one deployment, task or container: the archive from its beginning, then what follows live. */

import { signal } from "@preact/signals";
import { type EventFrame, type GapFrame, type Json, logLines, type Page, type Position } from "fanfare";
import { plain } from "./ansi.ts";
import { oncePerFrame } from "./clock.ts";
import { api, client } from "./gateway.ts";
import { covers, distance } from "./position.ts";

export interface Line {
  kind: "line";
  /** From 1; counts what could be had. */
  number: number;
  text: string;
  at: number;
  level: string;
}

/** Lines that can no longer be had. */
export interface Gap {
  kind: "gap";
  /** How many events are missing, if that can be counted. */
  missing: number | null;
  cause: GapFrame["cause"];
}

export type LogRow = Line | Gap;

/** A stage of a deployment, from the time it was entered. */
export interface Stage {
  name: string;
  from: number;
  until: number | null;
  status: string;
}

const PAGE = 500;
const PAGES_MAX = 40;
const ROWS_MAX = 50_000;

/** The log lines that an event carries. */
function linesOf(event: EventFrame): string[] {
  const { data } = event;
  if (/(^|_)log$/.test(event.event)) return logLines(data).flatMap((line) => line.replace(/\n$/, "").split("\n"));
  if (event.event === "error" && typeof data.error === "string") return [data.error];
  return typeof data.message === "string" && data.message !== "" ? data.message.split("\n") : [];
}

function levelOf(event: EventFrame): string {
  if (event.event === "error" || event.data.status === "error" || event.data.status === "failed") return "error";
  return typeof event.data.level === "string" ? event.data.level : "";
}

/** Follows one channel until `close`. */
export class Log {
  readonly rows: LogRow[] = [];
  /** Rises whenever rows came; the array itself is not copied. */
  readonly version = signal(0);
  readonly state = signal<Json | null>(null);
  readonly stages = signal<readonly Stage[]>([]);
  readonly loading = signal(true);
  readonly error = signal("");
  /** How many rows were let go at the top to stay within bounds. */
  dropped = 0;
  /** Characters of the longest line so far, by which the width of all is known without laying them out. */
  longest = 0;
  #numbered = 0;
  #stages: Stage[] = [];
  readonly #subscription;
  readonly #changed = oncePerFrame(() => {
    this.version.value++;
    this.stages.value = this.#stages;
  });

  constructor(readonly channel: string) {
    this.#subscription = client.subscribe<string>(channel);
    let early: (EventFrame | GapFrame)[] | null = [];
    const take = (item: EventFrame | GapFrame): void => {
      if (early) early.push(item);
      else this.#add(item);
    };
    this.#subscription.on("event", take);
    this.#subscription.on("gap", take);
    this.#subscription.on("state", (state) => (this.state.value = state));
    this.#subscription.on("error", (error) => (this.error.value = error.message));
    const stop = this.#subscription.on("subscribed", ({ position }) => {
      stop();
      void this.#archive(position).finally(() => {
        for (const item of early ?? []) this.#add(item);
        early = null;
        this.loading.value = false;
        this.#changed();
      });
    });
  }

  /** How many lines there were, also those that were let go here. */
  get lines(): number {
    return this.#numbered;
  }

  close(): void {
    this.#subscription.unsubscribe();
  }

  /** Everything up to `until`, page by page from the beginning of what is kept. */
  async #archive(until: Position | null): Promise<void> {
    let since = "";
    try {
      for (let page = 0; page < PAGES_MAX; page++) {
        const path = `/v1/channels/${encodeURIComponent(this.channel)}/events?limit=${PAGE}${since && `&since=${since}`}`;
        const { events, next } = await api<Page>(path);
        const first = events[0];
        if (page === 0 && first) this.#startsAt(first);
        for (const event of events) if (covers(this.channel, until, event.position)) this.#add(event);
        const last = events.at(-1);
        if (!next || !last || covers(this.channel, last.position, until ?? "")) return;
        since = encodeURIComponent(next);
      }
    } catch (error) {
      this.error.value = (error as Error).message;
    }
  }

  /** Offsets begin at 1: what is missing before the first event is said. */
  #startsAt(first: EventFrame): void {
    const missing = (distance(this.channel, first.position.replace(/\d+$/, "1"), first.position) ?? 1) - 1;
    if (missing > 0) this.rows.push({ kind: "gap", missing, cause: "retention" });
  }

  #add(item: EventFrame | GapFrame): void {
    if (item.type === "gap") {
      this.rows.push({ kind: "gap", missing: distance(this.channel, item.from, item.to), cause: item.cause });
    } else {
      const level = levelOf(item);
      for (const text of linesOf(item)) {
        this.rows.push({ kind: "line", number: ++this.#numbered, text, at: item.at, level });
        this.longest = Math.max(this.longest, columns(text));
      }
      this.#enter(item);
    }
    if (this.rows.length > ROWS_MAX + 1000) {
      const surplus = this.rows.length - ROWS_MAX;
      this.rows.splice(0, surplus);
      this.dropped += surplus;
    }
    this.#changed();
  }

  #enter({ data, at }: EventFrame): void {
    const last = this.#stages.at(-1);
    const status = typeof data.status === "string" ? data.status : (last?.status ?? "pending");
    const ended = ["success", "error", "abandoned", "completed", "failed"].includes(status);
    const entered = typeof data.stage === "string" && data.stage !== last?.name;
    if (!entered && status === last?.status) return;
    const before = this.#stages.slice(0, -1);
    if (last && entered) before.push({ ...last, until: last.until ?? at });
    const name = entered ? String(data.stage) : (last?.name ?? "");
    if (!name) return;
    const from = entered ? at : (last?.from ?? at);
    this.#stages = [...before, { name, from, until: ended ? at : null, status }];
  }
}

/** How many columns a line takes at most: wide letters take two, a tab up to eight. */
function columns(text: string): number {
  return plain(text)
    .replace(/\t/g, "        ")
    .replace(/[^\0-\u10ff]/gu, "  ").length;
}

/** Which rows contain the words, as indices. */
export function search(rows: readonly LogRow[], words: string): number[] {
  const wanted = words.toLowerCase();
  if (!wanted) return [];
  const found: number[] = [];
  rows.forEach((row, index) => {
    if (row.kind === "line" && plain(row.text).toLowerCase().includes(wanted)) found.push(index);
  });
  return found;
}
