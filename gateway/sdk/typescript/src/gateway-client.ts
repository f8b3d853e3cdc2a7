/**
 * What everybody has who speaks to a gateway in its own protocol: a connection that comes back, its
 * token, what the server says of itself, and moving on when it asks for that. `Fanfare` puts channels
 * on it, `Agent` work.
 */

import { FanfareError } from "./codes.ts";
import { Emitter } from "./emitter.ts";
import type { Json, ServerFrame, StatusFrame, WelcomeFrame } from "./frames.ts";
import { type Attempt, type ConnectionState, Link, type Reconnecting } from "./link.ts";
import { Session } from "./session.ts";
import { openEvents, openSocket, type WebSocketConstructor, type Wire, type WireListener } from "./wire.ts";

export interface ConnectOptions {
  /** A JWT or an API key. */
  token?: string | undefined;
  /** Asked for a token before the first connection, before the token ends, and once after a refusal. Null: none. */
  getToken?: (() => string | null | Promise<string | null>) | undefined;
  /** Where there is no global `WebSocket` (Node 20): `import { WebSocket } from "ws"`. Without one, SSE is used. */
  WebSocket?: WebSocketConstructor | undefined;
  fetch?: typeof globalThis.fetch | undefined;
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

export interface ConnectionEvents {
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

const EXPIRY_MARGIN_MS = 30_000;
const TIMER_MAX_MS = 2 ** 31 - 1;
const TICK_MS = 1000;

export abstract class GatewayClient<E extends ConnectionEvents = ConnectionEvents> extends Emitter<E> {
  /** Where HTTP goes: `https://host/prefix`. */
  readonly url: string;
  connection: Connection | null = null;
  degraded: StatusFrame = { type: "status", degraded: false };
  protected readonly link: Link<ServerFrame>;
  /** Silence of so many milliseconds is asked about; twice the server's rhythm. */
  protected patience = 50_000;
  readonly #options: ConnectOptions;
  readonly #sessions = new Map<Wire, Session>();
  readonly #pongs: ((answered: boolean) => void)[] = [];
  #token: string | null;
  #refresh: ReturnType<typeof setTimeout> | undefined;
  #ticks: ReturnType<typeof setInterval> | undefined;
  #socketOpened = false;

  /** `url`: `https://host`, `wss://host`, with or without a path in front of `/v1`; default: the page's own host. */
  constructor(url: string | URL, options: ConnectOptions) {
    super();
    const base = typeof location === "undefined" ? "http://localhost" : location.origin;
    this.url = new URL(url, base).href.replace(/^ws/, "http").replace(/\/+$/, "");
    this.#options = options;
    this.#token = options.token ?? null;
    this.link = new Link({ ...options, dial: (listener, attempt) => this.#dial(listener, attempt) });
    this.link.on("opened", (wire) => (this.#socketOpened ||= wire.kind === "websocket"));
    this.link.on("frame", ({ frame, wire }) => this.#frame(frame, this.#of(wire)));
    this.link.on("ended", (wire) => this.#ended(this.#of(wire)));
    this.link.on("reconnecting", (value) => this.#tell("reconnecting", value));
    this.link.on("lost", (value) => this.#tell("disconnected", value));
    this.link.on("error", (value) => this.#tell("error", value));
    this.link.on("state", (state) => {
      if (state !== "connected") {
        this.connection = null;
        clearInterval(this.#ticks);
        for (const pong of this.#pongs.splice(0)) pong(false);
      }
      this.#tell("state", state);
    });
  }

  get state(): ConnectionState {
    return this.link.state;
  }

  /** Connects. After a terminal error this is the way back. */
  connect(): this {
    this.link.connect();
    return this;
  }

  /** Leaves the server, until the next `connect()`. */
  disconnect(): void {
    clearTimeout(this.#refresh);
    this.link.disconnect();
  }

  /** Another token, from now on; the open connection changes to it at once. */
  setToken(token: string | null): void {
    this.#token = token;
    if (token) this.session?.send({ type: "token", token });
    this.#scheduleRefresh();
  }

  /** Milliseconds there and back; null where it cannot be measured (SSE, not connected). */
  async ping(): Promise<number | null> {
    if (this.connection?.transport !== "websocket") return null;
    const start = performance.now();
    const pong = new Promise<boolean>((resolve) => this.#pongs.push(resolve));
    this.session?.send({ type: "ping" });
    return (await pong) ? performance.now() - start : null;
  }

  /** The connection in use, if any. */
  protected get session(): Session | null {
    const { wire } = this.link;
    return wire && this.state === "connected" ? this.#of(wire) : null;
  }

  /** How the next connection is made; `null` where there is nothing to ask an event stream for. */
  protected abstract transport(attempt: Attempt, socketOpened: boolean): "websocket" | "sse" | null;
  /** The query of the event stream that `session` is about to be. */
  protected abstract query(session: Session): string;
  /** A connection was welcomed, and is the one in use. */
  protected abstract ready(session: Session): void;
  protected abstract hear(session: Session, frame: ServerFrame): void;
  /** Nothing more comes over a connection. */
  protected abstract ended(session: Session): void;
  /** Whether the connection before `session` is not needed any more. */
  protected abstract settled(session: Session): boolean;
  /** A moment has passed. */
  protected abstract tick(session: Session): void;

  /** Lets go of the connection before this one once that is not needed. */
  protected settle(): void {
    if (this.session && this.settled(this.session)) this.link.handedOver();
  }

  protected async http<T>(path: string, body?: unknown): Promise<T> {
    const { getToken } = this.#options;
    if (this.#token === null && getToken) this.#token = await getToken();
    const headers: Record<string, string> = body === undefined ? {} : { "content-type": "application/json" };
    if (this.#token) headers.authorization = `Bearer ${this.#token}`;
    const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
    const response = await this.#fetch(this.url + path, { ...init, headers });
    const answer = (await response.json().catch(() => ({}))) as Json;
    if (response.ok) return answer as T;
    throw new FanfareError(response.status, String(answer.detail ?? answer.title ?? answer.error ?? response.statusText), false, answer);
  }

  get #fetch(): typeof globalThis.fetch {
    return this.#options.fetch ?? globalThis.fetch.bind(globalThis);
  }

  /** `E` may have more events than these. */
  #tell<K extends keyof ConnectionEvents>(event: K, value: ConnectionEvents[K]): void {
    this.emit(event, value as E[K]);
  }

  #of(wire: Wire): Session {
    const known = this.#sessions.get(wire) ?? new Session(wire);
    this.#sessions.set(wire, known);
    return known;
  }

  #ended(session: Session): void {
    session.close();
    this.#sessions.delete(session.wire);
    this.ended(session);
  }

  async #dial(listener: WireListener<ServerFrame>, attempt: Attempt): Promise<Wire> {
    const { getToken, WebSocket = globalThis.WebSocket as WebSocketConstructor | undefined } = this.#options;
    if (attempt.freshToken && !getToken) throw new FanfareError(4001, "the token was refused", true);
    if (getToken && (attempt.freshToken || this.#token === null)) this.#token = await getToken();
    else await null; // What is subscribed to in the same breath belongs to this connection.
    const transport = this.transport(attempt, this.#socketOpened);
    if (WebSocket && transport !== "sse") {
      // A browser cannot set headers; an address, which proxies write down, is no place for a token.
      const protocols = this.#token ? ["fanfare.v1", `bearer.${this.#token}`] : ["fanfare.v1"];
      return openSocket(WebSocket, `${this.url}/v1/connect`.replace(/^http/, "ws"), listener, protocols);
    }
    if (transport === null) throw new Error("no WebSocket here");
    const headers: Record<string, string> = this.#token ? { authorization: `Bearer ${this.#token}` } : {};
    return openEvents(this.#fetch, (wire) => `${this.url}/v1/events?${this.query(this.#of(wire))}`, headers, listener);
  }

  #frame(frame: ServerFrame, session: Session): void {
    const current = session.wire === this.link.wire;
    switch (frame.type) {
      case "welcome":
        return this.#welcome(frame, session);
      case "pong":
        return this.#pongs.shift()?.(true);
      case "status":
        session.degraded = frame;
        return current ? this.#tell("status", (this.degraded = frame)) : undefined;
      case "bye":
        return frame.reconnect && current ? this.link.move(frame.after_ms, frame.reason) : undefined;
    }
    this.hear(session, frame);
    if (frame.type === "subscribed" || (frame as { type: string }).type === "ack") this.settle();
    if (frame.type === "error" && !frame.channel) this.#tell("error", new FanfareError(frame.code, frame.message, false, frame.details));
  }

  #welcome(frame: WelcomeFrame, session: Session): void {
    session.welcome(frame);
    this.link.ready(session.wire);
    if (this.link.wire !== session.wire) return;
    this.connection = { id: frame.connection, user: frame.user, version: frame.version, transport: session.wire.kind };
    this.link.beat((this.patience = 2 * frame.ping_ms));
    if (this.degraded.degraded || session.degraded.degraded) this.#tell("status", (this.degraded = session.degraded));
    this.ready(session);
    this.tick(session);
    this.settle();
    clearInterval(this.#ticks);
    this.#ticks = setInterval(() => this.session && this.tick(this.session), TICK_MS);
    this.#scheduleRefresh();
    this.#tell("connected", this.connection);
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
        const token = await getToken();
        // An event stream has its token in the request that began it.
        if (this.connection?.transport === "sse") this.link.replace(0, "another token");
        this.setToken(token);
      } catch (error) {
        this.#tell("error", new FanfareError(4001, `no new token: ${String(error)}`));
      }
    }, wait);
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
