/** A typed event emitter of thirty lines. */

/** Ends what it was returned for. */
export type Stop = () => void;

/** Pages tell `window.onerror`; elsewhere an error that is reported so may end the process (Deno, Bun). */
const report = (error: unknown): void => {
  if (typeof document === "undefined" || typeof reportError === "undefined") console.error(error);
  else reportError(error);
};

/** `E` maps the name of each event to what its listeners receive. */
export class Emitter<E extends object> {
  readonly #listeners = new Map<keyof E, Set<(value: never) => void>>();

  /** Calls `listener` on each `event` until the answer is called. */
  on<K extends keyof E>(event: K, listener: (value: E[K]) => void): Stop {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  /** Calls `listener` on the next `event` only. */
  once<K extends keyof E>(event: K, listener: (value: E[K]) => void): Stop {
    const stop = this.on(event, (value) => {
      stop();
      listener(value);
    });
    return stop;
  }

  /** A listener that throws is reported to the host: it keeps nobody else from hearing, and ends no process. */
  protected emit<K extends keyof E>(event: K, value: E[K]): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      try {
        listener(value as never);
      } catch (error) {
        report(error);
      }
    }
  }
}
