/** A reader of one channel: callbacks, an async iterator, the folded state. */

import type { FanfareError } from "./codes.ts";
import { Emitter } from "./emitter.ts";
import type { EventFrame, GapFrame, Json, Position, PresenceFrame, StateFrame } from "./frames.ts";

export interface SubscribeOptions {
  /** Everything after this position, as far as the archive reaches back. */
  since?: Position | undefined;
  /** The last so many events first, marked `tail`. Without effect beside `since`. */
  tail?: number | undefined;
  /** `latest`: when this reader is slow, skip to the newest state instead of every event. */
  mode?: "all" | "latest" | undefined;
  /** How many items an async iterator holds for a slow loop before it says `gap`. Default 10,000. */
  buffer?: number | undefined;
  /** Unsubscribes. */
  signal?: AbortSignal | undefined;
}

/** The channel is being listened to (again). */
export interface Subscribed<S> {
  channel: string;
  position: Position | null;
  head: Position | null;
  state: S | null;
  /** Went on exactly after the last event that was seen; false the first time, and after a gap of epoch. */
  recovered: boolean;
}

export interface SubscriptionEvents<S, E = EventFrame> {
  /** Each event once and in order. */
  event: E;
  /** The folded state after each event that changed it, and whenever the server sent it whole. */
  state: S | null;
  /** Events that can no longer be had. */
  gap: GapFrame;
  subscribed: Subscribed<S>;
  /** The connection is gone, or the server refused the channel for now; `subscribed` follows when it goes on. */
  interrupted: undefined;
  /** On the channel `presence` only. */
  presence: PresenceFrame;
  error: FanfareError;
  /** Unsubscribed; nothing follows. */
  closed: undefined;
}

/** What an async iterator yields; `type` tells them apart. */
export type Item<S, E extends EventFrame<unknown> = EventFrame> = E | GapFrame | StateFrame<S> | PresenceFrame;

/** Made by `Fanfare.subscribe`. */
export class Subscription<S = Json, E extends EventFrame<unknown> = EventFrame> extends Emitter<SubscriptionEvents<S, E>> implements AsyncIterable<Item<S, E>> {
  /** The folded state; null while unknown, and on channels that have none. */
  state: S | null = null;
  /** The last position seen. Keep it to resume later: `subscribe(channel, { since })`. */
  position: Position | null = null;
  /** The server has confirmed the subscription on the connection in use. */
  active = false;
  #queues = new Set<(item: Item<S, E> | null) => void>();
  #closed = false;
  readonly #leave: () => void;

  /** @internal */
  constructor(
    readonly channel: string,
    readonly options: SubscribeOptions,
    leave: () => void,
  ) {
    super();
    this.#leave = leave;
    if (options.signal?.aborted) queueMicrotask(() => this.unsubscribe());
    options.signal?.addEventListener("abort", () => this.unsubscribe(), { once: true });
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Ends this reader; the last one of a channel ends the channel's subscription. */
  unsubscribe(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.active = false;
    this.#leave();
    for (const push of this.#queues) push(null);
    this.emit("closed", undefined);
  }

  /** @internal One thing that happened on the channel. */
  tell<K extends keyof SubscriptionEvents<S, E>>(what: K, value: SubscriptionEvents<S, E>[K]): void {
    if (this.#closed) return;
    if (what === "event" || what === "gap" || what === "presence") {
      for (const push of this.#queues) push(value as Item<S, E>);
    }
    this.emit(what, value);
  }

  /** @internal A state that the server sent whole. */
  tellState(frame: StateFrame<S>): void {
    this.state = frame.state;
    if (this.#closed) return;
    for (const push of this.#queues) push(frame);
    this.emit("state", frame.state);
  }

  /**
   * Events, gaps and whole states in order, from the call on; ends with `unsubscribe()`. Leaving the
   * loop leaves the subscription as it is. A loop that falls `buffer` items behind loses them, and
   * is told so by a gap of cause `buffer`.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Item<S, E>, void, undefined> {
    const limit = this.options.buffer ?? 10_000;
    let queue: Item<S, E>[] = [];
    let wake = (): void => {};
    let over = this.#closed;
    const push = (item: Item<S, E> | null): void => {
      if (item === null) over = true;
      else if (queue.length < limit) queue.push(item);
      else queue = [lost(this.channel, queue), item];
      wake();
    };
    this.#queues.add(push);
    try {
      while (true) {
        const item = queue.shift();
        if (item) yield item;
        else if (over) return;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      this.#queues.delete(push);
    }
  }
}

/** The gap that stands for items which a slow reader lost. */
function lost(channel: string, queue: Item<unknown, EventFrame<unknown>>[]): GapFrame {
  const [first] = queue;
  let from = "";
  let to = "";
  for (const item of queue) {
    if (item.type === "presence") continue;
    from ||= item.type === "gap" ? item.from : item.position;
    to = item.type === "gap" ? item.to : item.position;
  }
  return first?.type === "gap" && first.cause === "buffer" ? { ...first, to } : { type: "gap", channel, from, to, cause: "buffer" };
}
