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

/** Runs `job` with the next frame, however often it is asked before. */
export function oncePerFrame(job: () => void): () => void {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    const run = (): void => {
      asked = false;
      job();
    };
    // Hidden pages have no frames, and nobody looks: a slow timer will do.
    if (document.visibilityState === "visible") requestAnimationFrame(run);
    else setTimeout(run, 1000);
  };
}
