/** Positions of one channel as numbers: which event it is, counted from the first. */

import type { Position } from "fanfare";

/** How many events of the channel there are up to here: offsets have no holes. 0 before the first. */
export function ordinal(position: Position | null): number {
  if (!position) return 0;
  const parts = position.slice(position.indexOf("-") + 1).split(",");
  return parts.reduce((sum, part) => sum + (Number(part.slice(part.lastIndexOf(".") + 1)) || 0), 0);
}

export function epoch(position: Position): string {
  return position.slice(0, position.indexOf("-"));
}

/** The position of an event by its number; null where several streams feed the channel, which count each for itself. */
export function positionOf(like: Position, number: number): Position | null {
  const offset = like.slice(like.indexOf("-") + 1);
  return /^\d+$/.test(offset) ? `${epoch(like)}-${Math.max(0, Math.floor(number))}` : null;
}
