/** From events to the lines of a log. */

import { type EventFrame, type GapFrame, logLines, type Position } from "fanfare";
import { plain, settled } from "./ansi.ts";
import { ordinal } from "./position.ts";

export interface Line {
  kind: "line";
  text: string;
  /** Ms since 1970. */
  at: number;
  level: string;
  /** The event that says it. */
  position: Position;
  /** Which event of the channel that is, from 1. */
  event: number;
  /** Which line of the event, from 1. */
  part: number;
  /** How many columns it takes at most. */
  columns: number;
}

/** Events that are not read yet: they come when they are in sight. */
export interface Hole {
  kind: "hole";
  /** The last event before it; null at the beginning. */
  after: Position | null;
  /** The last event in it. */
  until: Position;
  /** Which events are in it. */
  from: number;
  to: number;
  failure: string;
}

/** Events that can no longer be had. */
export interface Gap {
  kind: "gap";
  /** How many, if that can be counted. */
  missing: number | null;
  cause: GapFrame["cause"];
}

export type LogRow = Line | Hole | Gap;

/** The texts that an event says, one a line. */
export function textsOf(event: EventFrame): string[] {
  const { data } = event;
  const split = (text: string): string[] => text.replace(/\r?\n$/, "").split(/\r?\n/);
  if (/(^|_)log$/.test(event.event)) return logLines(data).flatMap(split);
  if (event.event === "error" && typeof data.error === "string") return split(data.error);
  if (event.event === "task_released") return [`released: ${String(data.why ?? "unknown")}`];
  return typeof data.message === "string" && data.message !== "" ? split(data.message) : [];
}

function levelOf({ event, data }: EventFrame): string {
  if (event === "error" || data.status === "error" || data.status === "failed") return "error";
  return typeof data.level === "string" ? data.level : "";
}

/** The lines of an event behind `last`, which one that begins with a carriage return writes over. */
export function append(rows: LogRow[], event: EventFrame): void {
  const level = levelOf(event);
  const number = ordinal(event.position);
  textsOf(event).forEach((raw, index) => {
    const last = rows.at(-1);
    const over = raw.startsWith("\r") && last?.kind === "line" ? last : null;
    if (over) rows.pop();
    const text = over ? settled(raw, over.text) : settled(raw.replace(/\r+$/, ""));
    rows.push({ kind: "line", text, at: event.at, level, position: event.position, event: number, part: index + 1, columns: columns(text) });
  });
}

/** How many columns a line takes at most: wide letters take two, a tab up to eight. */
function columns(text: string): number {
  return plain(text)
    .replace(/\t/g, "        ")
    .replace(/[^\0-\u10ff]/gu, "  ").length;
}

const ERROR = /^\W*(error|fatal|panic|exception|traceback|fail(ed|ure)?)\b|\b(ERROR|FATAL|PANIC|ERR!)\b|panicked at/i;

/** Whether a line tells of a failure. */
export function isError(line: Line): boolean {
  return line.level === "error" || ERROR.test(plain(line.text));
}

/** The object that a line is, if it is one in JSON. */
export function jsonOf(text: string): Record<string, unknown> | null {
  if (!/^\s*\{.*\}\s*$/.test(text)) return null;
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return null;
  }
}

/** What a line in JSON says in short: its message, else all of it. */
export function shortOf(json: Record<string, unknown>): string {
  const word = (...keys: string[]): string => keys.map((key) => json[key]).find((value): value is string => typeof value === "string") ?? "";
  const [level, message] = [word("level", "severity", "lvl"), word("message", "msg", "event", "title")];
  return message ? `${level ? `${level} ` : ""}${message}` : JSON.stringify(json);
}

/** `4711.3`: a place in a log that stays, whatever else is read. */
export function placeOf({ event, part }: Line): string {
  return part === 1 ? String(event) : `${event}.${part}`;
}

/** A line or a range of lines: `L4711`, `L4711.3-L4720`. */
export interface Range {
  from: readonly [event: number, part: number];
  to: readonly [event: number, part: number];
}

export function rangeOf(fragment: string): Range | null {
  const found = /^L(\d+)(?:\.(\d+))?(?:-L?(\d+)(?:\.(\d+))?)?$/.exec(fragment);
  if (!found) return null;
  const [, event, part, last, lastPart] = found.map((text) => (text === undefined ? null : Number(text)));
  const from = [event ?? 0, part ?? 1] as const;
  const to = last === null || last === undefined ? from : ([last, lastPart ?? 1] as const);
  return before(to, from) ? { from: to, to: from } : { from, to };
}

const before = (a: readonly [number, number], b: readonly [number, number]): boolean => a[0] < b[0] || (a[0] === b[0] && a[1] < b[1]);

export function isIn(range: Range | null, { event, part }: Line): boolean {
  return range !== null && !before([event, part], range.from) && !before(range.to, [event, part]);
}
