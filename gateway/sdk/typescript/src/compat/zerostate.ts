/**
 * Successor of the ZeroState browser client and its status badge. It speaks that service's protocol
 * (`/api/v1/ws/connect`) and finds or makes the badge `#ws-status` with `#ws-status-indicator` and
 * `#ws-status-text`. The original gave up after five attempts and wrote messages as HTML; this one
 * goes on, and leaves messages to your handlers as text.
 */

import type { ConnectionState, Link } from "../link.ts";
import { type CompatOptions, compatLink } from "./socket.ts";

export interface TaskUpdate {
  task_id: string;
  status: "queued" | "running" | "completed" | "failed";
  query: string;
  progress: number;
}

export interface AgentUpdate {
  agent_id: string;
  name: string;
  action: "registered" | "updated" | "deleted";
}

export interface SystemMessage {
  message: string;
  level?: "info" | "success" | "warning" | "error";
}

export interface Message {
  type: string;
  timestamp?: string;
  data?: unknown;
  user_id?: string;
}

export interface ZeroStateOptions extends CompatOptions {
  token?: string | undefined;
}

const PATH = "/api/v1/ws/connect";
const PING_MS = 25_000;

export class ZeroStateWebSocket {
  readonly #link: Link<Message>;
  readonly #pings: ReturnType<typeof setInterval>;

  constructor(options: ZeroStateOptions = {}) {
    const { token } = options;
    this.#link = compatLink(() => (token ? `${PATH}?token=${encodeURIComponent(token)}` : PATH), PING_MS, options);
    this.#link.on("frame", ({ frame }) => this.handleMessage(frame));
    this.#link.on("state", (state) => this.onStateChange(state));
    this.#pings = setInterval(() => this.send({ type: "ping", timestamp: new Date().toISOString() }), PING_MS);
    this.connect();
  }

  get state(): ConnectionState {
    return this.#link.state;
  }

  connect(): void {
    this.#link.connect();
  }

  handleMessage(message: Message): void {
    const data = message.data as never;
    if (message.type === "task_update") this.handleTaskUpdate(data);
    else if (message.type === "agent_update") this.handleAgentUpdate(data);
    else if (message.type === "system") this.handleSystemMessage(data);
    else if (message.type !== "pong") this.handleCustomEvent(message);
  }

  send(message: Message): void {
    this.#link.send(message);
  }

  /** Override these in your app. */
  handleTaskUpdate(_data: TaskUpdate): void {}
  handleAgentUpdate(_data: AgentUpdate): void {}
  handleSystemMessage(_data: SystemMessage): void {}
  handleCustomEvent(_message: Message): void {}
  onStateChange(_state: ConnectionState): void {}

  close(): void {
    clearInterval(this.#pings);
    this.#link.disconnect();
  }
}

const BADGE: Record<ConnectionState, readonly [text: string, color: string]> = {
  connected: ["Connected", "#22c55e"],
  connecting: ["Connecting…", "#eab308"],
  disconnected: ["Disconnected", "#ef4444"],
};

/** Shows the state of `client` in the badge; answers with a function that stops doing so. */
export function statusBadge(client: ZeroStateWebSocket, root: Document = document): () => void {
  const badge = root.getElementById("ws-status") ?? makeBadge(root);
  const dot = root.getElementById("ws-status-indicator");
  const text = root.getElementById("ws-status-text");
  const show = (state: ConnectionState): void => {
    const [label, color] = BADGE[state];
    badge.dataset.state = state;
    badge.style.opacity = "1";
    if (dot) dot.style.backgroundColor = color;
    if (text) text.textContent = label;
  };
  const before = client.onStateChange;
  client.onStateChange = (state) => {
    before.call(client, state);
    show(state);
  };
  show(client.state);
  return () => {
    client.onStateChange = before;
  };
}

function makeBadge(root: Document): HTMLElement {
  const badge = root.body.appendChild(root.createElement("div"));
  badge.id = "ws-status";
  badge.setAttribute("role", "status");
  const dot = badge.appendChild(root.createElement("span"));
  dot.id = "ws-status-indicator";
  badge.appendChild(root.createElement("span")).id = "ws-status-text";
  Object.assign(badge.style, {
    position: "fixed",
    right: "1rem",
    bottom: "1rem",
    padding: ".5rem 1rem",
    borderRadius: ".5rem",
    background: "#111827",
    color: "#d1d5db",
    font: "14px system-ui, sans-serif",
  });
  Object.assign(dot.style, { display: "inline-block", width: ".5rem", height: ".5rem", borderRadius: "50%", marginRight: ".5rem" });
  return badge;
}
