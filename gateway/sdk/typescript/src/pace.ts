/** Keeps to the rate that a server allows: what goes over it waits here, in order, and nothing is lost. */

/** How many seconds' worth may go at once, as the server counts. */
const BURST_SECONDS = 4;
/** Left for what does not wait here: the pings of the link. */
const SHARE = 0.9;

/** A frame, or what makes it, or nothing, at the moment of writing. */
export type Outgoing = object | (() => object | null);

export class Pace {
  readonly #send: (frame: object) => void;
  readonly #waiting: Outgoing[] = [];
  #perSecond = Number.POSITIVE_INFINITY;
  #left = 0;
  #at = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(send: (frame: object) => void) {
    this.#send = send;
  }

  /** A connection begins, with a whole allowance; a server that says nothing sets no limit. */
  begin(perSecond: number | undefined): void {
    this.#perSecond = perSecond && perSecond > 0 ? perSecond * SHARE : Number.POSITIVE_INFINITY;
    this.#left = this.#perSecond * BURST_SECONDS;
    this.#at = Date.now();
  }

  /** The connection is gone, and with it what waited for it. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#waiting.length = 0;
  }

  send(frame: Outgoing): void {
    this.#waiting.push(frame);
    if (this.#timer === undefined) this.#flush();
  }

  #flush(): void {
    this.#timer = undefined;
    const now = Date.now();
    const most = this.#perSecond * BURST_SECONDS;
    if (Number.isFinite(most)) this.#left = Math.min(most, this.#left + ((now - this.#at) / 1000) * this.#perSecond);
    this.#at = now;
    let next: Outgoing | undefined;
    while (this.#left >= 1 && (next = this.#waiting.shift())) {
      const frame = typeof next === "function" ? (next as () => object | null)() : next;
      if (!frame) continue;
      this.#left -= 1;
      this.#send(frame);
    }
    if (this.#waiting.length === 0) return;
    this.#timer = setTimeout(() => this.#flush(), Math.ceil(((1 - this.#left) / this.#perSecond) * 1000));
  }
}
