/** Time: one clock for the whole page, so that all "3 s ago" move together. */

import { signal } from "@preact/signals";

/** Ms since 1970, once a second while the page is looked at. */
export const now = signal(Date.now());

setInterval(() => {
  if (document.visibilityState === "visible") now.value = Date.now();
}, 1000);

/** Runs `job` at once and each `ms` while the page is looked at; answers with its end. */
export function every(ms: number, job: () => void): () => void {
  job();
  const timer = setInterval(() => {
    if (document.visibilityState === "visible") job();
  }, ms);
  return () => clearInterval(timer);
}

/** How often what a thousand events a second change is shown: eyes read no faster. */
export const CALM_MS = 150;

/** Runs `job` with the next frame, however often it is asked before; `restMs` is between two runs at least. */
export function oncePerFrame(job: () => void, restMs = 0): () => void {
  let asked = false;
  let ran = -Infinity;
  return () => {
    if (asked) return;
    asked = true;
    const run = (): void => {
      asked = false;
      ran = performance.now();
      job();
    };
    const rest = ran + restMs - performance.now();
    // Hidden pages have no frames, and nobody looks: a slow timer will do.
    if (document.visibilityState !== "visible") setTimeout(run, 1000);
    else if (rest > 0) setTimeout(() => requestAnimationFrame(run), rest);
    else requestAnimationFrame(run);
  };
}
