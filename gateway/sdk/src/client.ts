/** The client: one connection to a gateway, any number of channels. */

import { FanfareError } from "./codes.ts";
import { Emitter } from "./emitter.ts";
import { Feed, type Reader } from "./feed.ts";
import type { EventFrame, EventOf, Json, Position, PresenceStatus, ServerFrame, StateOf, StatusFrame, WelcomeFrame } from "./frames.ts";
import { type Attempt, type ConnectionState, Link, type Reconnecting } from "./link.ts";
import { Pace } from "./pace.ts";
import { type SubscribeOptions, Subscription } from "./subscription.ts";
import { openEvents, openSocket, type WebSocketConstructor, type Wire, type WireListener } from "./wire.ts";

export interface FanfareOptions {
  /** A JWT or an API key. */
  token?: string | undefined;
  /** Asked for a token before the first connection, before the token ends, and once after a refusal. Null: none. */
  getToken?: (() => string | null | Promise<string | null>) | undefined;
  /** Where there is no global `WebSocket` (Node 20): `import { WebSocket } from "ws"`. Without one, SSE is used. */
  WebSocket?: WebSocketConstructor | undefined;
  fetch?: typeof globalThis.fetch | undefined;
  /** `auto`: WebSocket, and SSE where WebSockets fail twice before ever opening. */
  transport?: "auto" | "websocket" | "sse" | undefined;
  /** Milliseconds; 500 and 20,000 by default. */
  minReconnectDelay?: number | undefined;
  maxReconnectDelay?: number | undefined;
  connectTimeout?: number | undefined;
}

/** Who we are to the server. */
export interface Connection {
  id: string;
  user: string | null;
  version: string;
  transport: "websocket" | "sse";
}

export interface FanfareEvents {
  state: ConnectionState;
  /** Ready; also after each reconnection. */
  connected: Connection;
  /** The connection ended, or an attempt failed. */
  disconnected: { code: number; reason: string };
  reconnecting: Reconnecting;
  /** Redis or SQL is down behind the server, or up again. Connections stay. */
  status: StatusFrame;
  /** What concerns no channel; `terminal` when the client gave up. */
  error: FanfareError;
}

/** One event to publish (contract §3). */
export interface Publication {
  stream: "deployments" | "tasks" | "agents" | "containers" | "messages" | "topics";
  type: string;
  id?: string | undefined;
  data?: object | undefined;
  user?: string | undefined;
  /** The same id within 24 h is applied once: safe to repeat after a failure. */
  event_id?: string | undefined;
  lease_ms?: number | undefined;
  at?: number | undefined;
  traceparent?: string | undefined;
}

export interface Published {
  /** Recorded, and where; empty when the server accepted it without waiting for that (202). */
  published: { index: number; channel: string; position: Position }[];
}

/** A page of a channel's archive. */
export interface Page {
  channel: string;
  events: EventFrame[];
  next: Position | null;
}

const EXPIRY_MARGIN_MS = 30_000;
const TIMER_MAX_MS = 2 ** 31 - 1;
/** A request that was not answered for so long is made again. */
const UNCONFIRMED_MS = 20_000;

export class Fanfare extends Emitter<FanfareEvents> {
  /** Where HTTP goes: `https://host/prefix`. */
  readonly url: string;
  connection: Connection | null = null;
  degraded: StatusFrame = { type: "status", degraded: false };
  readonly #options: FanfareOptions;
  readonly #link: Link<ServerFrame>;
  readonly #pace: Pace = new Pace((frame) => this.#link.send(frame));
  readonly #feeds = new Map<string, Feed>();
  readonly #pongs: ((answered: boolean) => void)[] = [];
  #token: string | null;
  #refresh: ReturnType<typeof setTimeout> | undefined;
  #unconfirmed: ReturnType<typeof setInterval> | undefined;
  /** What was last said of this user, said anew after a reconnection. */
  #presence: PresenceStatus | null = null;
  /** The channels of the event stream, which has them in its address. */
  #streamed: Set<string> = new Set();
  #everOpened = false;

  /** `url`: `https://host`, `wss://host`, with or without a path in front of `/v1`; default: the page's own host. */
  constructor(url: string | URL = "", options: FanfareOptions = {}) {
    super();
    const base = typeof location === "undefined" ? undefined : location.origin;
    this.url = new URL(url, base).href.replace(/^ws/, "http").replace(/\/+$/, "");
    this.#options = options;
    this.#token = options.token ?? null;
    this.#link = new Link({ ...options, dial: (listener, attempt) => this.#dial(listener, attempt) });
    this.#link.on("opened", (wire) => (this.#everOpened ||= wire.kind === "websocket"));
    this.#link.on("frame", ({ frame, wire }) => this.#frame(frame, wire));
    this.#link.on("reconnecting", (value) => this.emit("reconnecting", value));
    this.#link.on("lost", (value) => this.emit("disconnected", value));
    this.#link.on("error", (value) => this.emit("error", value));
    this.#link.on("state", (state) => {
      if (state !== "connected") {
        this.connection = null;
        this.#pace.clear();
        clearInterval(this.#unconfirmed);
        for (const pong of this.#pongs.splice(0)) pong(false);
        for (const feed of this.#feeds.values()) feed.suspend();
      }
      this.emit("state", state);
    });
  }

  get state(): ConnectionState {
    return this.#link.state;
  }

  /** Connects; `subscribe` does it too. After a terminal error this is the way back. */
  connect(): this {
    this.#link.connect();
    return this;
  }

  /** Leaves the server. Subscriptions stay and resume with the next `connect()`. */
  disconnect(): void {
    clearTimeout(this.#refresh);
    this.#link.disconnect();
  }

  /** Leaves the server and ends all subscriptions. */
  close(): void {
    this.disconnect();
    for (const feed of [...this.#feeds.values()]) for (const reader of [...feed.readers]) reader.unsubscribe();
  }

  /** Another token, from now on; the open connection changes to it at once. */
  setToken(token: string | null): void {
    this.#token = token;
    if (token) this.#pace.send({ type: "token", token });
    this.#scheduleRefresh();
  }

  /**
   * Listens to a channel. Several subscriptions of one channel share what the server sends; `since`
   * and `mode` are the first one's to say.
   */
  subscribe<C extends string>(channel: C, options: SubscribeOptions = {}): Subscription<StateOf<C>, EventOf<C>> {
    const reader: Reader = new Subscription(channel, options, () => this.#leave(reader));
    let feed = this.#feeds.get(channel);
    if (!feed) {
      const tail = (limit: number): Promise<Page> => this.history(channel, { limit, reverse: true });
      feed = new Feed(channel, options, async (limit) => (await tail(limit)).events.reverse());
      this.#feeds.set(channel, feed);
      this.#request(feed);
    }
    feed.join(reader);
    this.connect();
    return reader as unknown as Subscription<StateOf<C>, EventOf<C>>;
  }

  /** A page of the channel's archive; with `reverse` the newest events first. */
  async history(channel: string, query: { since?: Position; limit?: number; reverse?: boolean } = {}): Promise<Page> {
    const search = new URLSearchParams();
    for (const [key, value] of Object.entries(query)) if (value !== undefined) search.set(key, String(value));
    return this.#http<Page>(`/v1/channels/${encodeURIComponent(channel)}/events?${search}`);
  }

  /** Publishes over HTTP; answered after the events are stored. All of an array or none. */
  async publish(events: Publication | Publication[]): Promise<Published> {
    const answer = await this.#http<Partial<Published>>("/v1/publish", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(events),
    });
    return { published: answer.published ?? [] };
  }

  /** Tells others of this user's presence; lost with the connection. */
  presence(status: PresenceStatus): void {
    this.#presence = status;
    if (this.state === "connected") this.#pace.send({ type: "presence", status });
  }

  /** Milliseconds there and back; null where it cannot be measured (SSE, not connected). */
  async ping(): Promise<number | null> {
    if (this.connection?.transport !== "websocket") return null;
    const start = performance.now();
    const pong = new Promise<boolean>((resolve) => this.#pongs.push(resolve));
    this.#pace.send({ type: "ping" });
    return (await pong) ? performance.now() - start : null;
  }

  async #dial(listener: WireListener<ServerFrame>, attempt: Attempt): Promise<Wire> {
    const { getToken } = this.#options;
    if (attempt.freshToken && !getToken) throw new FanfareError(4001, "the token was refused", true);
    if (getToken && (attempt.freshToken || this.#token === null)) this.#token = await getToken();
    const Socket = this.#options.WebSocket ?? (globalThis.WebSocket as WebSocketConstructor | undefined);
    if (Socket && this.#transport(attempt) === "websocket") {
      // A browser cannot set headers; an address, which proxies write down, is no place for a token.
      const protocols = this.#token ? ["fanfare.v1", `bearer.${this.#token}`] : ["fanfare.v1"];
      return openSocket(Socket, `${this.url}/v1/connect`.replace(/^http/, "ws"), listener, protocols);
    }
    if (this.#feeds.size === 0) throw new Error("server-sent events need a channel");
    const headers: Record<string, string> = {};
    if (this.#token) headers.authorization = `Bearer ${this.#token}`;
    this.#streamed = new Set(this.#feeds.keys());
    for (const feed of this.#feeds.values()) feed.streamed();
    // Each channel with the position to go on from, in one order.
    const resumes = [...this.#feeds.values()].some((feed) => feed.resumesAt !== null);
    const channels = [...this.#feeds.values()].flatMap((feed) => [
      `channel=${encodeURIComponent(feed.channel)}`,
      ...(resumes ? [`since=${encodeURIComponent(feed.resumesAt ?? "")}`] : []),
    ]);
    const url = `${this.url}/v1/events?${channels.join("&")}`;
    return openEvents(this.#fetch, url, headers, listener, () => {});
  }

  /** Every third attempt is SSE as long as no WebSocket ever opened. */
  #transport({ failures }: Attempt): "websocket" | "sse" {
    const { transport = "auto" } = this.#options;
    if (transport !== "auto") return transport;
    return this.#everOpened || failures % 3 < 2 || this.#feeds.size === 0 ? "websocket" : "sse";
  }

  get #fetch(): typeof globalThis.fetch {
    return this.#options.fetch ?? globalThis.fetch.bind(globalThis);
  }

  #frame(frame: ServerFrame, wire: Wire): void {
    if (frame.type === "welcome") return this.#welcome(frame, wire);
    const feed = "channel" in frame && frame.channel ? this.#feeds.get(frame.channel) : undefined;
    switch (frame.type) {
      case "event":
        return feed?.event(frame);
      case "gap":
        return feed?.gap(frame);
      case "state":
        return feed?.whole(frame);
      case "subscribed":
        if (wire !== this.#link.wire) return; // Asked before we moved on; it was asked again there.
        feed?.subscribed(frame);
        if ([...this.#feeds.values()].every((one) => one.active)) this.#link.handedOver();
        return;
      case "presence":
        return this.#feeds.get("presence")?.presence(frame);
      case "pong":
        return this.#pongs.shift()?.(true);
      case "status":
        this.degraded = frame;
        return this.emit("status", frame);
      case "error":
        if (feed) return feed.failed(frame);
        return this.emit("error", new FanfareError(frame.code, frame.message, false, frame.details));
      case "bye":
        if (frame.reconnect && wire === this.#link.wire) this.#link.move(frame.after_ms, frame.reason);
        return;
    }
  }

  #welcome(frame: WelcomeFrame, wire: Wire): void {
    this.connection = { id: frame.connection, user: frame.user, version: frame.version, transport: wire.kind };
    for (const feed of this.#feeds.values()) feed.active = false;
    this.#link.ready(wire);
    const degraded = frame.degraded ?? null;
    if (degraded) this.emit("status", (this.degraded = { type: "status", degraded: true, reason: degraded }));
    else if (this.degraded.degraded) this.emit("status", (this.degraded = { type: "status", degraded: false }));
    this.#link.beat(frame.ping_ms);
    this.#pace.begin(frame.limits?.frames_per_second);
    for (const feed of this.#feeds.values()) this.#request(feed);
    if (this.#presence && wire.kind === "websocket") this.#pace.send({ type: "presence", status: this.#presence });
    clearInterval(this.#unconfirmed);
    this.#unconfirmed = setInterval(() => this.#askAgain(), UNCONFIRMED_MS / 2);
    if (this.#feeds.size === 0) this.#link.handedOver();
    this.#scheduleRefresh();
    this.emit("connected", this.connection);
  }

  /** SSE has its channels in the address, so that a new one needs a new stream. */
  #request(feed: Feed): void {
    if (this.state !== "connected") return;
    if (this.connection?.transport === "websocket") this.#ask(feed);
    else if (!this.#streamed.has(feed.channel)) this.#link.replace(0, "another channel");
  }

  #ask(feed: Feed): void {
    feed.askedAt = Date.now();
    this.#pace.send(feed.request());
  }

  /** Asks again for what was neither confirmed nor refused, unless the server said that it waits itself. */
  #askAgain(): void {
    if (this.connection?.transport !== "websocket" || this.degraded.degraded) return;
    for (const feed of this.#feeds.values()) {
      if (!feed.active && feed.askedAt !== null && Date.now() - feed.askedAt >= UNCONFIRMED_MS) this.#ask(feed);
    }
  }

  #leave(reader: Reader): void {
    const feed = this.#feeds.get(reader.channel);
    if (!feed?.readers.delete(reader) || feed.readers.size > 0) return;
    this.#feeds.delete(reader.channel);
    if (this.state === "connected") this.#pace.send({ type: "unsubscribe", channel: reader.channel });
  }

  /** Asks for the next token shortly before this one ends, so that the connection need not end with it. */
  #scheduleRefresh(): void {
    clearTimeout(this.#refresh);
    const { getToken } = this.#options;
    const end = getToken && expiry(this.#token);
    if (!end || this.state !== "connected") return;
    const wait = Math.max(1000, end - Date.now() - EXPIRY_MARGIN_MS);
    if (wait > TIMER_MAX_MS) return;
    this.#refresh = setTimeout(async () => {
      try {
        this.setToken(await getToken());
      } catch (error) {
        this.emit("error", new FanfareError(4001, `no new token: ${String(error)}`));
      }
    }, wait);
  }

  async #http<T>(path: string, init: RequestInit = {}): Promise<T> {
    if (this.#token === null && this.#options.getToken) this.#token = await this.#options.getToken();
    const headers = new Headers(init.headers);
    if (this.#token) headers.set("authorization", `Bearer ${this.#token}`);
    const response = await this.#fetch(this.url + path, { ...init, headers });
    const body = (await response.json().catch(() => ({}))) as Json;
    if (response.ok) return body as T;
    const message = String(body.detail ?? body.title ?? body.error ?? response.statusText);
    throw new FanfareError(response.status, message, false, body);
  }
}

/** The end of a JWT, ms since 1970; null when the token is none or has none. */
function expiry(token: string | null): number | null {
  try {
    const claims = (token ?? "").split(".")[1] ?? "";
    const { exp } = JSON.parse(atob(claims.replace(/-/g, "+").replace(/_/g, "/"))) as { exp?: number };
    return exp ? exp * 1000 : null;
  } catch {
    return null;
  }
}
