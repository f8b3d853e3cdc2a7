/** Where each row of a log stands: rows of any height, of which only those in sight are in the page. */

import { jsonOf, type LogRow } from "./lines.ts";

/** Pixels of one line. */
export const ROW = 21;
/** A hole takes the place that its events would take, within what browsers can scroll. */
const HOLE_PX_MIN = 3 * ROW;
const HOLE_PX_MAX = 4_000_000;

export interface Layout {
  /** Where each row begins; one more for the end. */
  tops: Float64Array;
  /** The row at a height. */
  at(px: number): number;
}

/** `columns`: how many fit into a line that is wrapped; 0 where lines are not. `unfolded`: rows shown with all that their JSON says. */
export function layout(rows: readonly LogRow[], columns: number, unfolded: ReadonlySet<LogRow>): Layout {
  const tops = new Float64Array(rows.length + 1);
  let top = 0;
  for (let n = 0; n < rows.length; n++) {
    tops[n] = top;
    top += height(rows[n] as LogRow, columns, unfolded);
  }
  tops[rows.length] = top;
  const at = (px: number): number => {
    let [low, high] = [0, Math.max(0, rows.length - 1)];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((tops[middle] ?? 0) <= px) low = middle;
      else high = middle - 1;
    }
    return low;
  };
  return { tops, at };
}

function height(row: LogRow, columns: number, unfolded: ReadonlySet<LogRow>): number {
  if (row.kind === "hole") return Math.min(HOLE_PX_MAX, Math.max(HOLE_PX_MIN, (row.to - row.from + 1) * ROW));
  if (row.kind === "gap") return ROW;
  if (unfolded.size > 0 && unfolded.has(row)) return ROW * (1 + unfoldedLines(row.text).length);
  return columns > 0 ? ROW * Math.max(1, Math.ceil(row.columns / columns)) : ROW;
}

/** All that a line of JSON says, a line for each member. */
export function unfoldedLines(text: string): string[] {
  const json = jsonOf(text);
  return json ? JSON.stringify(json, null, 2).split("\n") : [];
}
