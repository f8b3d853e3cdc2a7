/** One connection in use: what its server said of itself, and what goes out at the pace that it allows. */

import type { StatusFrame, WelcomeFrame } from "./frames.ts";
import { type Outgoing, Pace } from "./pace.ts";
import type { Wire } from "./wire.ts";

/** A channel that a connection was asked for. */
export interface Ask {
  /** When the question was written, ms since 1970; null while it waits for its turn, or is answered. */
  at: number | null;
  /** It was asked before, without an answer. */
  again: boolean;
}

export class Session {
  readonly wire: Wire;
  degraded: StatusFrame = { type: "status", degraded: false };
  /** How many channels the server takes. */
  subscriptions: number = Number.POSITIVE_INFINITY;
  /** The largest frame that the server takes, if it says so. */
  frameBytes: number | undefined;
  readonly asks: Map<string, Ask> = new Map();
  /** By channel: answers to `unsubscribe` that are still to come. What comes before them is void. */
  readonly #left = new Map<string, number>();
  readonly #pace: Pace;

  constructor(wire: Wire) {
    this.wire = wire;
    this.#pace = new Pace((frame) => wire.send(frame));
  }

  welcome({ limits, degraded }: WelcomeFrame): void {
    this.subscriptions = limits?.subscriptions || this.subscriptions;
    this.frameBytes = limits?.frame_bytes || undefined;
    this.#pace.begin(limits?.frames_per_second);
    if (degraded) this.degraded = { type: "status", degraded: true, reason: degraded };
  }

  send(frame: Outgoing): void {
    this.#pace.send(frame);
  }

  close(): void {
    this.#pace.clear();
  }

  /** Gives a channel's place back. */
  leave(channel: string): void {
    if (!this.asks.delete(channel)) return;
    this.#left.set(channel, (this.#left.get(channel) ?? 0) + 1);
    this.send({ type: "unsubscribe", channel });
  }

  /** Whether a frame belongs to a subscription that was left. */
  void({ type, channel }: { type: string; channel: string }): boolean {
    const left = this.#left.get(channel) ?? 0;
    if (left > 0 && type === "unsubscribed") this.#left.set(channel, left - 1);
    return left > 0;
  }
}
