/**
 * One channel on the wire. However many subscriptions read it, the server sees one; the feed knows
 * which connection it is heard on and how far, folds the state, and tells all readers.
 *
 * No position is compared with another but for equality: a channel has one home, the connection whose
 * server confirmed it last, and only what comes from there counts. While another connection is asked,
 * what the old home says is held back; at the new one's `subscribed` it is discarded, because the
 * server sends it again, and it counts after all where the new connection fails.
 */

import { FanfareError } from "./codes.ts";
import { fold } from "./fold.ts";
import type { ErrorFrame, EventFrame, GapFrame, Json, Position, ServerFrame, StateFrame, SubscribedFrame, SubscribeFrame } from "./frames.ts";
import type { Session } from "./session.ts";
import type { SubscribeOptions, Subscription } from "./subscription.ts";

/** A subscription, whatever its state looks like. */
export type Reader = Subscription<Json>;

/** Reads the last `limit` events of the channel up to a position, oldest first. */
export type History = (limit: number, until: Position | null) => Promise<EventFrame[]>;

/** Only entities have a state; an event of the same name on a user's channel changes none. */
const ENTITY = /^(deployment|task|agent|container):/;
/** Frames that are held back during a change of connection; the rest comes again from there. */
const HELD_MAX = 10_000;

export class Feed {
  position: Position | null;
  state: Json | null = null;
  /** The connection that the channel is heard on, and the one that was asked for it. */
  home: Session | null = null;
  asked: Session | null = null;
  /** When it may be asked for again after a refusal, ms since 1970. */
  retryAt = 0;
  failures = 0;
  readonly readers: Set<Reader> = new Set();
  #head: Position | null = null;
  /** Confirmed at least once. */
  #joined = false;
  /** What the server was asked to go on from, and whether it was asked for a tail. */
  #since: Position | null = null;
  #tailAsked = false;
  /** The state is whole. After a `since` from outside it is not, until the server sends it. */
  #known = false;
  #waiting: ServerFrame[] = [];
  /** Readers that wait for their tail, and the events that wait with them. */
  readonly #late = new Map<Reader, EventFrame[]>();
  readonly #options: SubscribeOptions;
  readonly #history: History;

  constructor(
    readonly channel: string,
    options: SubscribeOptions,
    history: History,
  ) {
    this.#options = options;
    this.#history = history;
    this.position = options.since ?? null;
  }

  /** The frame that starts the channel, or resumes it where it was left; from here on `session` counts. */
  ask(session: Session): SubscribeFrame {
    const { mode, tail } = this.#options;
    const since = this.position;
    [this.asked, this.#since, this.#tailAsked] = [session, since, since === null && !!tail];
    return {
      type: "subscribe",
      channel: this.channel,
      ...(since !== null && { since }),
      ...(mode && { mode }),
      ...(tail && since === null && { tail }),
    };
  }

  /** Takes a frame of the channel that came by `session`. */
  take(session: Session, frame: ServerFrame): void {
    if (session === this.asked && frame.type === "subscribed") this.#confirmed(session, frame);
    else if (session !== this.home) return;
    else if (!this.asked) this.#deliver(frame);
    else if (this.#waiting.length < HELD_MAX) this.#waiting.push(frame);
    else this.home = null;
  }

  /** `session` is gone, or refused the channel for now. */
  lost(session: Session): void {
    if (session === this.home) this.home = null;
    if (session === this.asked) {
      this.asked = null;
      for (const frame of this.#waiting.splice(0)) this.#deliver(frame);
    }
    for (const reader of this.readers) {
      if (this.home || !reader.active) continue;
      reader.active = false;
      reader.tell("interrupted", undefined);
    }
  }

  join(reader: Reader): void {
    this.readers.add(reader);
    if (this.#joined) this.#joinLate(reader);
  }

  failed(frame: ErrorFrame): void {
    const error = new FanfareError(frame.code, frame.message, false, frame.details);
    for (const reader of this.readers) reader.tell("error", error);
  }

  #confirmed(session: Session, { position, head, state }: SubscribedFrame): void {
    const first = !this.#joined;
    const resumed = this.#since !== null;
    const recovered = resumed && position === this.#since;
    [this.home, this.asked, this.#waiting, this.failures] = [session, null, [], 0];
    this.#joined = true;
    this.#head = head;
    // Resumed, the position is that of the last event seen, or the state behind a gap moves it.
    if (!resumed) [this.position, this.state, this.#known] = [position, state, true];
    for (const reader of this.readers) {
      if (this.#late.has(reader)) continue;
      if (first && !resumed && !this.#tailAsked && reader.options.tail) this.#joinLate(reader);
      else this.#greet(reader, recovered);
    }
  }

  #deliver(frame: ServerFrame): void {
    if (frame.type === "event") frame.position && this.#event(frame);
    else if (frame.type === "gap") this.#gap(frame);
    else if (frame.type === "state") this.#whole(frame);
    else if (frame.type === "presence") for (const reader of this.readers) reader.tell("presence", frame);
  }

  #event(frame: EventFrame): void {
    if (!frame.tail) {
      if (frame.position === this.position) return;
      if (this.#head === this.position) this.#head = frame.position;
      this.position = frame.position;
      this.#fold(frame);
    }
    for (const reader of this.readers) {
      const late = this.#late.get(reader);
      if (frame.tail ? !reader.options.tail || late : late?.push(frame)) continue;
      this.#tellEvent(reader, frame);
    }
  }

  #gap(frame: GapFrame): void {
    // Where the state follows it moves the position, so that a cut between the two loses neither.
    if (!ENTITY.test(this.channel)) this.position = frame.to;
    for (const reader of this.readers) {
      reader.position = frame.to;
      reader.tell("gap", frame);
    }
  }

  #whole(frame: StateFrame): void {
    [this.position, this.state, this.#known] = [frame.position, frame.state, true];
    for (const reader of this.readers) {
      reader.position = frame.position;
      reader.tellState(frame);
    }
  }

  /** An event that cannot be folded is told like any other; the state is unknown until it comes whole. */
  #fold(frame: EventFrame): void {
    if (!this.#known || !ENTITY.test(this.channel)) return;
    try {
      this.state = fold(this.state, frame);
    } catch (error) {
      [this.state, this.#known] = [null, false];
      this.failed({ type: "error", code: "fold", message: String(error), channel: this.channel });
    }
  }

  /** One that comes late is told what the others know; its tail is read by HTTP. */
  #joinLate(reader: Reader): void {
    const { position } = this;
    const late: EventFrame[] = [];
    this.#late.set(reader, late);
    const start = (events: EventFrame[]): void => {
      this.#late.delete(reader);
      this.#greet(reader, false);
      for (const event of events) reader.tell("event", { ...event, tail: true });
      for (const event of late) this.#tellEvent(reader, event);
    };
    const { tail } = reader.options;
    const events = tail ? this.#history(tail, position) : Promise.resolve([]);
    void events.then(start, (error: FanfareError) => {
      reader.tell("error", error);
      start([]);
    });
  }

  #greet(reader: Reader, recovered: boolean): void {
    const { channel, position, state } = this;
    const changed = reader.state !== state;
    Object.assign(reader, { position, state, active: this.home !== null });
    reader.tell("subscribed", { channel, position, head: this.#head, state, recovered });
    if (changed) reader.tell("state", state);
  }

  #tellEvent(reader: Reader, frame: EventFrame): void {
    const changed = !frame.tail && reader.state !== this.state;
    if (!frame.tail) Object.assign(reader, { position: frame.position, state: this.state });
    reader.tell("event", frame);
    if (changed) reader.tell("state", this.state);
  }
}
