/** Pages of an answer of the server that has a cursor: the first again and again, the next ones when asked for. */

import { signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { every } from "../clock.ts";
import { api, type HttpError } from "../gateway.ts";

const EVERY_MS = 5000;
const ROWS_MAX = 5000;

export class Paged<T> {
  readonly rows = signal<readonly T[] | null>(null);
  readonly next = signal<string | null>(null);
  readonly failure = signal<HttpError | null>(null);
  #more = false;
  #stop: () => void;

  constructor(
    private readonly path: string,
    private readonly noun: string,
  ) {
    this.#stop = every(EVERY_MS, () => void (this.#more || this.read()));
  }

  close(): void {
    this.#stop();
  }

  async read(cursor: string | null = null): Promise<void> {
    try {
      const answer = await api<Record<string, unknown>>(
        `${this.path}${cursor ? `${this.path.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(cursor)}` : ""}`,
      );
      const rows = (answer[this.noun] ?? []) as T[];
      this.rows.value = cursor ? [...(this.rows.value ?? []), ...rows].slice(0, ROWS_MAX) : rows;
      this.next.value = (answer.next as string | null | undefined) ?? null;
      this.#more = cursor !== null;
      this.failure.value = null;
    } catch (error) {
      this.failure.value = error as HttpError;
    }
  }
}

export function usePaged<T>(path: string, noun: string): Paged<T> {
  const paged = useMemo(() => new Paged<T>(path, noun), [path, noun]);
  useEffect(() => () => paged.close(), [paged]);
  return paged;
}
