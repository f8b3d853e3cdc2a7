/** A small gateway that speaks contract §5 for real: sockets, event streams, an archive in memory. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import { fold } from "../src/fold.ts";
import type { EventFrame, Json } from "../src/frames.ts";

interface Channel {
  events: EventFrame[];
  state: Json | null;
  /** Offsets up to here are no longer kept. */
  trimmed: number;
}

export const BYE = { type: "bye", reason: "restarting", reconnect: true, after_ms: 20 };

/** Where frames go: a socket or an event stream. */
type Write = (frame: object) => void;

export class Gateway {
  epoch = "0000000a";
  pingMs = 25_000;
  /** Upgrades are refused, as a proxy would. */
  noWebSockets = false;
  /** Tokens that are let in; null: everybody. */
  tokens: Set<string> | null = null;
  /** What clients said, in order. */
  readonly heard: Json[] = [];
  /** The addresses of the sockets that were asked for, in order. */
  readonly asked: string[] = [];
  /** How many connections were let in. */
  welcomed = 0;
  silent = false;
  /** What `welcome` allows. */
  limits: { frames_per_second: number; subscriptions: number; frame_bytes: number } | undefined;
  /** So many of the next connections are sent on at once, as by a server that drains. */
  leaving = 0;
  readonly sockets: Set<WebSocket> = new Set();
  readonly #streams: Set<ServerResponse> = new Set();
  readonly #listeners = new Map<Write, Set<string>>();
  /** Shared by the nodes of one test. */
  readonly channels: Map<string, Channel>;
  readonly #http: Server;
  readonly #wss: WebSocketServer = new WebSocketServer({ noServer: true });
  port = 0;

  constructor(record: Map<string, Channel> = new Map()) {
    this.channels = record;
    this.#http = createServer((request, response) => this.#request(request, response));
    this.#http.on("upgrade", (request, socket, head) => {
      if (this.noWebSockets) return socket.end("HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n");
      this.#wss.handleUpgrade(request, socket, head, (ws) => this.#connect(ws, request));
    });
  }

  async listen(port = 0): Promise<this> {
    await new Promise<void>((resolve) => this.#http.listen(port, "127.0.0.1", resolve));
    this.port = (this.#http.address() as AddressInfo).port;
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** As if killed: sockets are cut without a close. */
  async stop(): Promise<void> {
    this.cut();
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }

  cut(): void {
    for (const socket of this.sockets) socket.terminate();
    for (const stream of this.#streams) stream.destroy();
  }

  close(code: number, reason = ""): void {
    for (const socket of this.sockets) socket.close(code, reason);
  }

  say(frame: object): void {
    for (const write of this.#listeners.keys()) write(frame);
  }

  /** Records an event and delivers it here; `others` deliver it too. */
  publish(name: string, event: string, data: Json = {}, others: Gateway[] = []): EventFrame {
    const channel = this.#channel(name);
    const id = name.includes(":") ? name.slice(name.indexOf(":") + 1) : null;
    const offset = channel.trimmed + channel.events.length + 1;
    const frame: EventFrame = {
      type: "event",
      channel: name,
      position: this.#position(offset),
      event,
      id,
      data,
      at: 1_700_000_000_000 + offset,
      recorded: 1_700_000_000_000 + offset,
    };
    channel.events.push(frame);
    if (/^(deployment|task|agent|container):/.test(name)) channel.state = fold(channel.state, frame);
    for (const node of [this, ...others]) node.#deliver(frame);
    return frame;
  }

  /** Forgets all but the last `keep` events of a channel. */
  trim(name: string, keep: number): void {
    const channel = this.#channel(name);
    const gone = channel.events.length - keep;
    channel.events.splice(0, gone);
    channel.trimmed += gone;
  }

  /** Says an event again, as after a hand-over of workers. */
  repeat(frame: EventFrame): void {
    this.#deliver(frame);
  }

  #position(offset: number): string {
    return `${this.epoch}-${offset}`;
  }

  #channel(name: string): Channel {
    const channel = this.channels.get(name) ?? { events: [], state: null, trimmed: 0 };
    this.channels.set(name, channel);
    return channel;
  }

  #deliver(frame: EventFrame): void {
    for (const [write, channels] of this.#listeners) if (channels.has(frame.channel)) write(frame);
  }

  #connect(socket: WebSocket, request: IncomingMessage): void {
    const offered = String(request.headers["sec-websocket-protocol"] ?? "").split(/, ?/);
    const token = offered.find((one) => one.startsWith("bearer."))?.slice("bearer.".length) ?? "";
    this.asked.push(request.url ?? "");
    const write: Write = (frame) => socket.send(JSON.stringify(frame));
    if (this.tokens && !this.tokens.has(token)) {
      write({ type: "error", code: "unauthorized", message: "the token was refused" });
      return socket.close(4001, "token");
    }
    this.sockets.add(socket);
    this.#listeners.set(write, new Set());
    socket.on("close", () => {
      this.sockets.delete(socket);
      this.#listeners.delete(write);
    });
    socket.on("message", (data) => this.#hear(write, JSON.parse(String(data)) as Json));
    this.#welcome(write, token);
  }

  #welcome(write: Write, token: string): void {
    this.welcomed += 1;
    write({
      type: "welcome",
      connection: `c${this.welcomed}`,
      user: token || null,
      ping_ms: this.pingMs,
      version: "test",
      ...(this.limits && { limits: this.limits }),
    });
    if (this.leaving-- > 0) write(BYE);
  }

  #hear(write: Write, frame: Json): void {
    this.heard.push(frame);
    if (this.silent) return;
    const channel = String(frame.channel);
    if (frame.type === "ping") write({ type: "pong" });
    else if (frame.type === "token") write({ type: "token", expires_at: Date.now() + 60_000 });
    else if (frame.type === "presence") this.say({ type: "presence", user: "u", status: frame.status, at: Date.now() });
    else if (frame.type === "unsubscribe") {
      this.#listeners.get(write)?.delete(channel);
      write({ type: "unsubscribed", channel });
    } else if (frame.type === "subscribe") {
      if (channel.startsWith("secret")) return write({ type: "error", code: "forbidden", message: "not yours", channel });
      this.#subscribe(write, channel, frame.since as string | undefined, Number(frame.tail ?? 0));
    }
  }

  #subscribe(write: Write, name: string, since: string | undefined, tail: number): void {
    const channel = this.#channel(name);
    const end = channel.trimmed + channel.events.length;
    const head = this.#position(end);
    const [epoch, offset] = since?.split("-") ?? [];
    const cause = since === undefined ? null : epoch !== this.epoch ? "epoch" : Number(offset) > end ? "ahead" : null;
    const fresh = since === undefined;
    write({ type: "subscribed", channel: name, position: fresh || cause ? head : since, head, state: fresh ? channel.state : null });
    const state = { type: "state", channel: name, position: head, state: channel.state };
    if (cause) {
      write({ type: "gap", channel: name, from: since, to: head, cause });
      write(state);
    } else if (!fresh) {
      const from = Number(offset);
      if (from < channel.trimmed) {
        write({ type: "gap", channel: name, from: this.#position(from + 1), to: this.#position(channel.trimmed), cause: "retention" });
        write({ ...state, position: this.#position(channel.trimmed) });
      }
      for (const event of channel.events.slice(Math.max(0, from - channel.trimmed))) write(event);
    } else if (tail) for (const event of channel.events.slice(-tail)) write({ ...event, tail: true });
    this.#listeners.get(write)?.add(name);
  }

  #request(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "/", "http://x");
    if (url.pathname === "/v1/events") return this.#stream(response, url.searchParams);
    response.setHeader("content-type", "application/json");
    response.setHeader("access-control-allow-origin", "*");
    const page = /^\/v1\/channels\/([^/]+)\/events$/.exec(url.pathname);
    if (page) {
      const name = decodeURIComponent(page[1] as string);
      const { events } = this.#channel(name);
      const since = url.searchParams.get("since");
      const end = since === null ? events.length : events.findIndex(({ position }) => position === since) + 1;
      const limit = Number(url.searchParams.get("limit"));
      const next = events[end - limit - 1]?.position ?? null;
      return void response.end(JSON.stringify({ channel: name, events: events.slice(Math.max(0, end - limit), end).reverse(), next }));
    }
    let body = "";
    request.on("data", (part) => (body += part));
    request.on("end", () => {
      const { stream, type, id, data } = JSON.parse(body) as Record<string, string> & { data: Json };
      if (!id) return void response.writeHead(400).end(JSON.stringify({ title: "wrong", problems: [{ index: 0, path: "id", message: "is required" }] }));
      const channel = `${String(stream).replace(/s$/, "")}:${id}`;
      const { position } = this.publish(channel, String(type), data);
      response.end(JSON.stringify({ published: [{ index: 0, channel, position }] }));
    });
  }

  #stream(response: ServerResponse, query: URLSearchParams): void {
    const [since, tail] = [query.getAll("since"), query.getAll("tail")];
    response.writeHead(200, { "content-type": "text/event-stream" });
    const write: Write = (frame) => {
      response.write(`event: ${(frame as EventFrame).type}\ndata: ${JSON.stringify(frame)}\n\n`);
    };
    this.#streams.add(response);
    this.#listeners.set(write, new Set());
    response.on("close", () => {
      this.#streams.delete(response);
      this.#listeners.delete(write);
    });
    this.#welcome(write, "");
    for (const [n, name] of query.getAll("channel").entries()) this.#subscribe(write, name, since[n] || undefined, Number(tail[n] ?? 0));
  }
}
