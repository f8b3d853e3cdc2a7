/** What is asked of the server again and again while it is looked at, and how old the last answer is. */

import { computed, type ReadonlySignal, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { every, now } from "./clock.ts";
import { api, HttpError } from "./gateway.ts";

/** Older than this, an answer is shown as old. */
export const STALE_MS = 5000;

const EVERY_MS = 2000;
const CALL_MS = 4000;

export class Resource<T> {
  /** The last answer; null before the first. */
  readonly value = signal<T | null>(null);
  /** When that came, ms since 1970. */
  readonly readAt = signal<number | null>(null);
  /** Why there was none, the last time; null after an answer. */
  readonly failure = signal<HttpError | null>(null);
  /** Whether the last answer is too old to speak for now. */
  readonly stale: ReadonlySignal<boolean>;
  /** The last answer while it speaks for now, else null. */
  readonly current: ReadonlySignal<T | null>;
  #users = 0;
  #stop = (): void => {};
  #reading = false;

  constructor(
    private readonly path: string | (() => string),
    private readonly everyMs = EVERY_MS,
  ) {
    const limit = Math.max(STALE_MS, everyMs * 2.5);
    this.stale = computed(() => this.readAt.value !== null && now.value - this.readAt.value > limit);
    this.current = computed(() => (this.stale.value ? null : this.value.value));
  }

  /** Keeps it fresh until the answer is called. */
  follow(): () => void {
    if (this.#users++ === 0) this.#stop = every(this.everyMs, () => void this.read());
    return () => {
      if (--this.#users === 0) this.#stop();
    };
  }

  async read(): Promise<void> {
    if (this.#reading) return;
    this.#reading = true;
    try {
      this.value.value = await api<T>(typeof this.path === "string" ? this.path : this.path(), "GET", undefined, CALL_MS);
      this.readAt.value = Date.now();
      this.failure.value = null;
    } catch (error) {
      this.failure.value = error instanceof HttpError ? error : new HttpError(0, String(error));
    }
    this.#reading = false;
  }
}

/** Follows a resource while the component is in the page. */
export function useResource<T>(resource: Resource<T>, wanted = true): Resource<T> {
  useEffect(() => (wanted ? resource.follow() : undefined), [resource, wanted]);
  return resource;
}
