/**
 * All channels of a client, over whichever connections there are: each is asked for them, within its
 * limits, until all are confirmed.
 */

import { backoff } from "./backoff.ts";
import type { Feed } from "./feed.ts";
import type { ErrorFrame, ServerFrame } from "./frames.ts";
import type { Ask, Session } from "./session.ts";

/** A server that is whole answers in less. */
const CONFIRM_MS = 10_000;
/** What asking again does not mend; another token or another connection may. */
const FINAL = /^(forbidden|unauthorized|unknown_channel|bad_\w+)$/;
const RETRY_MS = [1000, 30_000] as const;

export class Channels {
  readonly feeds: Map<string, Feed> = new Map();

  /** The query of an event stream, which has its channels in the address. */
  query(session: Session): string {
    const query = new URLSearchParams();
    for (const feed of this.feeds.values()) {
      const { channel, since = "", tail = 0, mode = "all" } = this.#question(session, feed);
      for (const [key, value] of Object.entries({ channel, since, tail, mode })) query.append(key, String(value));
    }
    return String(query);
  }

  /** Asks a connection that was welcomed for everything that it does not have. */
  ready(session: Session): void {
    for (const feed of this.feeds.values()) this.#ask(session, feed);
  }

  add(feed: Feed, session: Session | null): void {
    this.feeds.set(feed.channel, feed);
    if (session) this.#ask(session, feed);
  }

  remove(feed: Feed, current: Session | null): void {
    this.feeds.delete(feed.channel);
    for (const session of [feed.home, feed.asked, current]) session?.leave(feed.channel);
  }

  /** Takes a frame that concerns a channel. */
  hear(session: Session, frame: ServerFrame): void {
    const channel = frame.type === "presence" ? frame.type : "channel" in frame ? frame.channel : undefined;
    if (frame.type === "token") for (const feed of this.feeds.values()) feed.retryAt = Math.min(feed.retryAt, Date.now());
    const feed = this.feeds.get(channel as string);
    if (!channel || session.void({ type: frame.type, channel }) || !feed) return;
    switch (frame.type) {
      case "error":
        return this.#refused(session, feed, frame);
      case "unsubscribed":
        if (session !== feed.home && session !== feed.asked) return; // An error said so before.
        return this.#refused(session, feed, { type: "error", code: "forbidden", message: "ended by the server" });
      case "subscribed": {
        const ask = session.asks.get(channel);
        if (ask) ask.at = null;
      }
    }
    feed.take(session, frame);
  }

  ended(session: Session): void {
    for (const feed of this.feeds.values()) feed.lost(session);
  }

  /** Whether nothing is heard by another connection any more. */
  settled(session: Session): boolean {
    return [...this.feeds.values()].every(({ home, asked }) => home === session || !(home || asked));
  }

  /** Asks again where no answer came, and for what had to wait; says what only another connection mends. */
  tick(session: Session): "lacking" | "silent" | undefined {
    const now = Date.now();
    for (const [channel, ask] of session.asks) {
      if (ask.at === null || now - ask.at < CONFIRM_MS) continue;
      if (session.degraded.degraded)
        ask.at = now; // It said why it does not answer.
      else if (ask.again || session.wire.kind === "sse") return "silent";
      else {
        session.leave(channel);
        const feed = this.feeds.get(channel);
        feed?.lost(session);
        if (feed) this.#ask(session, feed, true);
      }
    }
    for (const feed of this.feeds.values()) {
      if (feed.retryAt > now || session.asks.has(feed.channel)) continue;
      if (session.wire.kind === "sse") return "lacking";
      this.#ask(session, feed);
    }
    return undefined;
  }

  #ask(session: Session, feed: Feed, again = false): void {
    if (session.wire.kind === "sse" || session.asks.has(feed.channel)) return;
    // What goes over the limit waits for a place.
    if (session.asks.size >= session.subscriptions) return;
    const ask: Ask = { at: null, again };
    session.asks.set(feed.channel, ask);
    // Made at the moment of writing, so that it says the newest position.
    session.send(() => (session.asks.get(feed.channel) === ask ? this.#question(session, feed, again) : null));
  }

  #question(session: Session, feed: Feed, again = false): ReturnType<Feed["ask"]> {
    session.asks.set(feed.channel, { at: Date.now(), again });
    return feed.ask(session);
  }

  #refused(session: Session, feed: Feed, frame: ErrorFrame): void {
    feed.failed(frame);
    if (session !== feed.asked && session !== feed.home) return;
    session.asks.delete(feed.channel);
    feed.failures += 1;
    feed.retryAt = FINAL.test(frame.code) ? Number.POSITIVE_INFINITY : Date.now() + backoff(feed.failures, ...RETRY_MS);
    feed.lost(session);
  }
}
