/**
 * One channel on the wire. However many subscriptions read it, the server sees one; the feed keeps
 * its position, drops repeats, folds the state and tells all readers.
 */

import { FanfareError } from "./codes.ts";
import { fold } from "./fold.ts";
import type { ClientFrame, ErrorFrame, EventFrame, GapFrame, Json, Position, PresenceFrame, StateFrame, SubscribedFrame } from "./frames.ts";
import { covers } from "./position.ts";
import type { SubscribeOptions, Subscription } from "./subscription.ts";

/** A subscription, whatever its state looks like. */
export type Reader = Subscription<Json>;

/** Reads the last `limit` events of the channel, oldest first. */
export type History = (limit: number) => Promise<EventFrame[]>;

/** Only entities have a state; an event of the same name on a user's channel changes none. */
const FOLDED = /^(deployment|task|agent|container):/;

export class Feed {
  position: Position | null;
  head: Position | null = null;
  state: Json | null = null;
  /** Confirmed on the connection in use. */
  active = false;
  /** When the server was asked, ms since 1970; null once it has refused. */
  askedAt: number | null = null;
  readonly readers: Set<Reader> = new Set();
  /** Confirmed at least once; what comes before that belongs to an earlier subscription. */
  #joined = false;
  /** What the server was asked to go on from, and whether it was asked for a tail; SSE asks neither. */
  #since: Position | null = null;
  #tailAsked = false;
  /** The state is whole. After a `since` from outside it is not, until the server sends it. */
  #known = false;
  /** Readers that wait for their tail, and the events that wait with them. */
  readonly #held = new Map<Reader, EventFrame[]>();
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

  /** The frame that starts the channel, or resumes it where it was left. */
  request(): ClientFrame {
    const { mode, tail } = this.#options;
    const since = (this.#since = this.position);
    this.#tailAsked = since === null && tail !== undefined;
    return {
      type: "subscribe",
      channel: this.channel,
      ...(since !== null && { since }),
      ...(mode && { mode }),
      ...(tail && since === null && { tail }),
    };
  }

  /** An event stream is about to start the channel: it resumes by an id of its own, or begins anew. */
  streamed(): void {
    this.#since = this.#joined ? this.position : null;
    this.#tailAsked = false;
  }

  /** Where an event stream goes on; null where it begins anew. */
  get resumesAt(): Position | null {
    return this.#joined ? this.position : null;
  }

  join(reader: Reader): void {
    this.readers.add(reader);
    if (this.#joined) this.#joinLate(reader);
  }

  /** The connection is gone; positions stay. */
  suspend(): void {
    this.active = false;
    for (const reader of this.readers) reader.active = false;
  }

  subscribed(frame: SubscribedFrame): void {
    const { channel } = this;
    const { position } = frame;
    const first = !this.#joined;
    const resumed = this.#since !== null;
    const recovered = resumed && position !== null && covers(channel, this.#since, position) && covers(channel, position, this.#since as Position);
    this.#joined = this.active = true;
    this.head = frame.head;
    if (!resumed) {
      [this.position, this.state, this.#known] = [position, frame.state, true];
    } // Else the position is that of the last event seen, or a gap that follows moves it.
    if (first && !resumed && this.#options.since) {
      const { since } = this.#options;
      this.failed({ type: "error", code: "since", message: `an event stream cannot begin at ${since}: read history()`, channel });
    }
    for (const reader of this.readers) {
      if (this.#held.has(reader)) continue;
      const missesTail = first && !resumed && !this.#tailAsked && reader.options.tail;
      if (missesTail) this.#joinLate(reader);
      else this.#greet(reader, recovered);
    }
  }

  event(frame: EventFrame): void {
    if (!this.#joined) return;
    if (!frame.tail) {
      if (covers(this.channel, this.position, frame.position)) return;
      this.position = frame.position;
      if (!covers(this.channel, this.head, frame.position)) this.head = frame.position;
      this.#fold(frame);
    }
    for (const reader of this.readers) {
      const held = this.#held.get(reader);
      if (frame.tail ? !reader.options.tail || held : held?.push(frame)) continue;
      this.#tellEvent(reader, frame);
    }
  }

  gap(frame: GapFrame): void {
    // After a change of epoch, or when we were ahead, the position goes back on purpose.
    const back = frame.cause === "epoch" || frame.cause === "ahead";
    if (!this.#joined || (!back && covers(this.channel, this.position, frame.to))) return;
    this.position = frame.to;
    for (const reader of this.readers) {
      reader.position = frame.to;
      reader.tell("gap", frame);
    }
  }

  whole(frame: StateFrame): void {
    const older = this.position !== frame.position && covers(this.channel, this.position, frame.position);
    if (!this.#joined || older) return;
    [this.position, this.state, this.#known] = [frame.position, frame.state, true];
    for (const reader of this.readers) {
      reader.position = frame.position;
      reader.tellState(frame);
    }
  }

  presence(frame: PresenceFrame): void {
    for (const reader of this.readers) reader.tell("presence", frame);
  }

  failed(frame: ErrorFrame): void {
    this.askedAt = null;
    const error = new FanfareError(frame.code, frame.message, false, frame.details);
    for (const reader of this.readers) reader.tell("error", error);
  }

  /** An event that cannot be folded is told like any other; the state is unknown until it comes whole. */
  #fold(frame: EventFrame): void {
    if (!this.#known || !FOLDED.test(this.channel)) return;
    try {
      this.state = fold(this.state, frame);
    } catch (error) {
      [this.state, this.#known] = [null, false];
      this.failed({ type: "error", code: "fold", message: String(error), channel: this.channel });
    }
  }

  /** One that comes late is told what the others know; its tail is read by HTTP. */
  #joinLate(reader: Reader): void {
    const known = this.position;
    const held: EventFrame[] = [];
    this.#held.set(reader, held);
    const start = (events: EventFrame[]): void => {
      this.#held.delete(reader);
      this.#greet(reader, false);
      for (const event of events) {
        if (covers(this.channel, known, event.position)) reader.tell("event", { ...event, tail: true });
      }
      for (const event of held) this.#tellEvent(reader, event);
    };
    const { tail } = reader.options;
    const events = tail ? this.#history(tail) : Promise.resolve([]);
    void events.then(start, (error: FanfareError) => {
      reader.tell("error", error);
      start([]);
    });
  }

  #greet(reader: Reader, recovered: boolean): void {
    const { channel, position, head, state, active } = this;
    const changed = reader.state !== state;
    Object.assign(reader, { position, state, active });
    reader.tell("subscribed", { channel, position, head, state, recovered });
    if (changed) reader.tell("state", state);
  }

  #tellEvent(reader: Reader, frame: EventFrame): void {
    const changed = !frame.tail && reader.state !== this.state;
    if (!frame.tail) Object.assign(reader, { position: frame.position, state: this.state });
    reader.tell("event", frame);
    if (changed) reader.tell("state", this.state);
  }
}
