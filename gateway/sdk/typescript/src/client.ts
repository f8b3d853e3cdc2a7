/** The client: one connection to a gateway, any number of channels. */

import { Channels } from "./channels.ts";
import type { EventOf, Named, StateOf } from "./events.ts";
import { Feed, type Reader } from "./feed.ts";
import type { EventFrame, Position, PresenceStatus, ServerFrame } from "./frames.ts";
import { type ConnectionEvents, type ConnectOptions, GatewayClient } from "./gateway-client.ts";
import type { Attempt } from "./link.ts";
import type { Publication } from "./publication.ts";
import type { Session } from "./session.ts";
import { type SubscribeOptions, Subscription } from "./subscription.ts";
import type { Queue, Task, TaskDetails, TaskStatus } from "./tasks.ts";

export interface FanfareOptions extends ConnectOptions {
  /** `auto`: WebSocket, and SSE where WebSockets fail twice before ever opening. */
  transport?: "auto" | "websocket" | "sse" | undefined;
}

export type FanfareEvents = ConnectionEvents;

export interface Published {
  /** Recorded, and where; empty when the server accepted it without waiting for that (202). */
  published: { index: number; channel: string; position: Position }[];
}

/** Which part of an archive is wanted. */
export interface HistoryQuery {
  /** What follows this position; with `reverse` what goes up to it. */
  since?: Position | undefined;
  limit?: number | undefined;
  /** From `since`, or the newest, downwards. */
  reverse?: boolean | undefined;
  /** Only events whose data contains this, whatever its case. */
  q?: string | undefined;
}

/** A page of a channel's archive. */
export interface Page<E extends EventFrame<unknown> = EventFrame> {
  channel: string;
  events: E[];
  /** Where the next page begins; null at the end. */
  next: Position | null;
  head?: Position;
  /** What is older than the archive, if it was asked for. */
  gap?: { from: Position; to: Position; cause: "retention" };
}

export class Fanfare extends GatewayClient {
  readonly #channels = new Channels();
  readonly #kind: NonNullable<FanfareOptions["transport"]>;
  /** What was last said of this user, said anew after a reconnection. */
  #presence: PresenceStatus | null = null;

  /** `url`: `https://host`, `wss://host`, with or without a path in front of `/v1`; default: the page's own host. */
  constructor(url: string | URL = "", options: FanfareOptions = {}) {
    super(url, options);
    this.#kind = options.transport ?? "auto";
  }

  /** Leaves the server and ends all subscriptions. */
  close(): void {
    this.disconnect();
    for (const feed of [...this.#channels.feeds.values()]) for (const reader of [...feed.readers]) reader.unsubscribe();
  }

  /**
   * Listens to a channel, and connects where that has not been done. Several subscriptions of one
   * channel share what the server sends; `since` and `mode` are the first one's to say.
   */
  subscribe<C extends string>(channel: C & Named<C>, options: SubscribeOptions = {}): Subscription<StateOf<C>, EventOf<C>> {
    const reader: Reader = new Subscription(channel, options, () => this.#leave(reader));
    let feed = this.#channels.feeds.get(channel);
    if (!feed) {
      const history = (limit: number, since: Position | null): Promise<Page> =>
        this.history<string>(channel, { since: since ?? undefined, limit, reverse: true });
      feed = new Feed(channel, options, async (...tail) => (await history(...tail)).events.reverse());
      this.#channels.add(feed, this.session);
      if (this.connection?.transport === "sse") this.link.replace(0, "another channel");
    }
    feed.join(reader);
    this.connect();
    return reader as unknown as Subscription<StateOf<C>, EventOf<C>>;
  }

  /** A page of the channel's archive; with `reverse` the newest events first. */
  async history<C extends string>(channel: C & Named<C>, query: HistoryQuery = {}): Promise<Page<EventOf<C>>> {
    return this.list(`channels/${encodeURIComponent(channel)}/events`, query);
  }

  /** A page of what there is of a kind: `/v1/deployments`, `/v1/tasks` … */
  async list<T>(name: string, query: object = {}): Promise<T> {
    const asked = Object.entries(query).filter(([, value]) => value !== undefined);
    return this.http(`/v1/${name}?${new URLSearchParams(asked)}`);
  }

  /** Publishes over HTTP; answered after the events are stored. All of an array or none. */
  async publish(events: Publication | Publication[]): Promise<Published> {
    const { published = [] } = await this.http<Partial<Published>>("/v1/publish", events);
    return { published };
  }

  /** Records a task for one agent; its result counts once. The same `id` again is refused (409). */
  async createTask(task: Task): Promise<{ task: string; status?: TaskStatus; position?: Position }> {
    return this.http("/v1/tasks", task);
  }

  /** What is known of a task, its attempts, and what it waits for. */
  async task(id: string): Promise<TaskDetails> {
    return this.#onTask(id);
  }

  /** Ends a task wherever it is. One that has ended otherwise is an error of code 409. */
  async cancelTask(id: string, reason?: string): Promise<{ task: string; status: TaskStatus }> {
    return this.#onTask(id, "/cancel", { reason });
  }

  /** Begins an ended task anew; its attempts go on counting. */
  async retryTask(id: string): Promise<{ task: string; status: TaskStatus }> {
    return this.#onTask(id, "/retry", {});
  }

  /** How the queue stands; needs an API key. */
  async queue(): Promise<Queue> {
    return this.http("/v1/queue");
  }

  /** Tells others of this user's presence; lost with the connection, and said anew after the next. */
  presence(status: PresenceStatus): void {
    this.#presence = status;
    this.session?.send({ type: "presence", status });
  }

  /** Every third attempt is SSE as long as no WebSocket ever opened. */
  protected transport({ failures }: Attempt, socketOpened: boolean): "websocket" | "sse" | null {
    if (this.#channels.feeds.size === 0) return this.#kind === "websocket" ? this.#kind : null;
    if (this.#kind !== "auto") return this.#kind;
    return socketOpened || failures % 3 < 2 ? "websocket" : "sse";
  }

  protected query(session: Session): string {
    return this.#channels.query(session);
  }

  protected ready(session: Session): void {
    if (this.#presence) session.send({ type: "presence", status: this.#presence });
    this.#channels.ready(session);
  }

  protected hear(session: Session, frame: ServerFrame): void {
    this.#channels.hear(session, frame);
  }

  protected ended(session: Session): void {
    this.#channels.ended(session);
  }

  protected settled(session: Session): boolean {
    return this.#channels.settled(session);
  }

  protected tick(session: Session): void {
    const missing = this.#channels.tick(session);
    if (missing === "lacking") this.link.replace(0, "another channel");
    else if (missing === "silent") this.link.drop("no answer in time");
  }

  async #onTask<T>(id: string, action = "", body?: object): Promise<T> {
    return this.http(`/v1/tasks/${encodeURIComponent(id)}${action}`, body);
  }

  #leave(reader: Reader): void {
    const feed = this.#channels.feeds.get(reader.channel);
    if (!feed?.readers.delete(reader) || feed.readers.size > 0) return;
    this.#channels.remove(feed, this.session);
    this.settle();
  }
}
