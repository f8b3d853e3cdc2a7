/** Full jitter: a random wait below a bound that doubles with each attempt. */

/** Milliseconds to wait before `attempt` (from 1), between `min` and `max`. */
export function backoff(attempt: number, min: number, max: number, random: () => number = Math.random): number {
  const bound = Math.min(max, min * 2 ** Math.min(attempt, 20));
  return Math.round(min + random() * (bound - min));
}
