/** Comparing positions. To an application they are opaque; the client looks inside to drop repeats. */

import type { Position } from "fanfare";

/** The source that a bare number counts, by the kind of channel. */
const HOMES: Record<string, string> = { deployment: "d", task: "t", agent: "a", repo: "a", alert: "a", container: "c" };

function offsets(channel: string, position: Position): [epoch: string, offsets: Map<string, number>] {
  const dash = position.indexOf("-");
  const home = HOMES[channel.replace(/s?(:.*)?$/, "")] ?? "m";
  const parts = position.slice(dash + 1).split(",");
  return [
    position.slice(0, dash),
    new Map(
      parts.map((part) => {
        const [source, offset] = part.includes(".") ? part.split(".") : [home, part];
        return [source as string, Number(offset)];
      }),
    ),
  ];
}

/** Whether whoever saw `seen` saw `position` of the same channel too. */
export function covers(channel: string, seen: Position | null, position: Position): boolean {
  if (seen === null) return false;
  if (seen === position) return true;
  const [epoch, had] = offsets(channel, seen);
  const [other, wanted] = offsets(channel, position);
  return epoch === other && [...wanted].every(([source, offset]) => (had.get(source) ?? 0) >= offset);
}

/**
 * How many publications a gap swallowed, `from` and `to` included; null when the two cannot be
 * compared, as after a change of epoch.
 */
export function distance(channel: string, from: Position, to: Position): number | null {
  const [epoch, first] = offsets(channel, from);
  const [other, last] = offsets(channel, to);
  if (epoch !== other || first.size > 1 || last.size > 1) return null;
  const [a, b] = [...first, ...last];
  return a && b && a[0] === b[0] && b[1] >= a[1] ? b[1] - a[1] + 1 : null;
}
