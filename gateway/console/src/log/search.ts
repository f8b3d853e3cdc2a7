/** Looking through a whole log: words are looked for by the server, a pattern by reading every event. */

import { signal } from "@preact/signals";
import type { Position } from "fanfare";
import { exact } from "../format.ts";
import { plain } from "./ansi.ts";
import { append, isError, type Line, type LogRow } from "./lines.ts";
import { archive, type Log } from "./log.ts";
import { ordinal } from "./position.ts";

/** More hits than this are not kept: it is said that there are more. */
export const HITS_MAX = 10_000;
const PAGE = 1000;

/** What is looked for; null where the pattern is none. */
export function matcher(words: string, regex: boolean): ((text: string) => boolean) | null {
  if (!regex) {
    const low = words.toLowerCase();
    return (text) => text.toLowerCase().includes(low);
  }
  try {
    const pattern = new RegExp(words, "i");
    return (text) => pattern.test(text);
  } catch {
    return null;
  }
}

export class Search {
  /** The lines found, in order; changed in place: `version` rises. */
  readonly hits: Line[] = [];
  readonly version = signal(0);
  /** How many events were looked through so far; null when all were. */
  readonly looked = signal<number | null>(0);
  readonly error = signal("");
  readonly #stop = new AbortController();
  #upTo = 0;

  constructor(
    readonly log: Log,
    readonly words: string,
    readonly regex: boolean,
    readonly matches: (text: string) => boolean,
  ) {
    void this.#run();
  }

  close(): void {
    this.#stop.abort();
  }

  /** Whether there are more hits than are kept. */
  get cut(): boolean {
    return this.hits.length >= HITS_MAX;
  }

  async #run(): Promise<void> {
    try {
      await this.log.begun;
      if (this.log.whole && this.log.error.peek() === "") for (const row of this.log.rows) this.#look(row);
      else await this.#ask();
      this.#upTo = this.log.events.peek();
      this.looked.value = null;
    } catch (error) {
      this.error.value = (error as Error).message;
    }
    this.version.value++;
  }

  /** The server's pages: with words the events that have them, with a pattern all. */
  async #ask(): Promise<void> {
    let since: Position | null = null;
    while (!this.#stop.signal.aborted && !this.cut) {
      const page = await archive(this.log.channel, { since, limit: PAGE, ...(!this.regex && { q: this.words }) });
      const rows: LogRow[] = [];
      for (const event of page.events) append(rows, event);
      for (const row of rows) this.#look(row);
      if (!page.next || page.next === since) return;
      since = page.next;
      this.looked.value = ordinal(since);
      this.version.value++;
    }
  }

  #look(row: LogRow): void {
    if (row.kind === "line" && !this.cut && this.matches(plain(row.text))) this.hits.push(row);
  }

  /** Looks through the lines that came live. */
  follow(): void {
    if (this.looked.peek() !== null) return;
    const { rows } = this.log;
    const before = this.hits.length;
    let from = rows.length;
    for (let row = rows[from - 1]; row && (row.kind !== "line" || row.event > this.#upTo) && row.kind !== "hole"; row = rows[from - 1]) from--;
    for (let n = from; n < rows.length; n++) this.#look(rows[n] as LogRow);
    this.#upTo = this.log.events.peek();
    if (this.hits.length !== before) this.version.value++;
  }
}

/** The first line that tells of a failure: here where all is read, else by the server's search. */
export async function firstError(log: Log): Promise<Line | null> {
  await log.begun;
  if (log.whole && log.error.peek() === "") return (log.rows.find((row) => row.kind === "line" && isError(row)) as Line | undefined) ?? null;
  const found = await Promise.all(["error", "fail", "panic", "fatal"].map((word) => firstOf(log, word)));
  return found.filter((line) => line !== null).sort((a, b) => a.event - b.event)[0] ?? null;
}

async function firstOf(log: Log, word: string): Promise<Line | null> {
  let since: Position | null = null;
  for (;;) {
    const page = await archive(log.channel, { since, q: word, limit: 100 });
    const rows: LogRow[] = [];
    for (const event of page.events) append(rows, event);
    const found = rows.find((row): row is Line => row.kind === "line" && isError(row));
    if (found) return found;
    if (!page.next || page.next === since) return null;
    since = page.next;
  }
}

/** All lines as text, page by page; `said` is told how many events are through. */
export async function textOf(log: Log, stop: AbortSignal, said: (events: number) => void): Promise<Blob> {
  const parts: string[] = [];
  let since: Position | null = null;
  while (!stop.aborted) {
    const page = await archive(log.channel, { since, limit: PAGE });
    const rows: LogRow[] = [];
    if (page.gap) parts.push(`--- from ${page.gap.from} to ${page.gap.to}: no longer kept\n`);
    for (const event of page.events) append(rows, event);
    parts.push(rows.map((row) => (row.kind === "line" ? `${written(row)}\n` : "")).join(""));
    if (!page.next || page.next === since) break;
    since = page.next;
    said(ordinal(since));
  }
  return new Blob(parts, { type: "text/plain;charset=utf-8" });
}

/** A line with its time, as it is copied. */
export function written(line: Line): string {
  return `${exact(line.at)} ${plain(line.text)}`;
}
