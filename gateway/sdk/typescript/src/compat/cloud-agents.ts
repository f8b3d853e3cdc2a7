/**
 * Successor of the Code Cloud Agents client class: same name, same methods, same handlers to
 * override. It speaks that service's own protocol (`/ws?token=`), so that its development tokens and
 * its rules for who sees what go on to hold; new are the address as an option, back-off with jitter,
 * and the retry when the network comes back.
 */

import type { ConnectionState, Link } from "../link.ts";
import { type CompatOptions, compatLink } from "./socket.ts";

export interface AgentStatus {
  agentName: string;
  state: "idle" | "working" | "stopped";
  currentTask?: string;
  progress?: number;
}

export interface ChatMessage {
  conversationId: string;
  messageId: string;
  content: string;
  sender: string;
  timestamp: string;
}

export interface Notification {
  level: "info" | "success" | "warning" | "error";
  message: string;
}

export type Presence = "online" | "away" | "busy" | "offline";

export interface UserPresence {
  userId?: string;
  status: Presence;
}

export interface Message {
  type: string;
  data?: unknown;
  timestamp?: string;
}

export class CloudAgentsWebSocket {
  readonly #link: Link<Message>;
  #token: string;

  constructor(token: string, options: CompatOptions = {}) {
    this.#token = token;
    this.#link = compatLink(() => `/ws?token=${encodeURIComponent(this.#token)}`, 30_000, options);
    this.#link.on("frame", ({ frame }) => this.handleMessage(frame));
    this.#link.on("state", (state) => this.onStateChange(state));
    this.connect();
  }

  get token(): string {
    return this.#token;
  }

  /** Used from the next connection on. */
  set token(token: string) {
    this.#token = token;
  }

  get isConnected(): boolean {
    return this.#link.state === "connected";
  }

  connect(): void {
    this.#link.connect();
  }

  handleMessage(message: Message): void {
    const data = message.data as never;
    if (message.type === "ping") this.send({ type: "pong" });
    else if (message.type === "auth") this.onAuth(data);
    else if (message.type === "agent_status") this.onAgentStatus(data);
    else if (message.type === "chat_message") this.onChatMessage(data);
    else if (message.type === "notification") this.onNotification(data);
    else if (message.type === "user_presence") this.onUserPresence(data);
    else if (message.type === "error") this.onError(data);
  }

  /** Without effect while not connected. */
  send(message: Message): void {
    this.#link.send(message);
  }

  setPresence(status: Presence): void {
    this.send({ type: "user_presence", data: status });
  }

  /** Override these in your app. */
  onAgentStatus(_data: AgentStatus): void {}
  onChatMessage(_data: ChatMessage): void {}
  onNotification(_data: Notification): void {}
  onUserPresence(_data: UserPresence): void {}
  onAuth(_data: { success: boolean; userId?: string; error?: string }): void {}
  onError(_data: { error: string }): void {}
  onStateChange(_state: ConnectionState): void {}

  close(): void {
    this.#link.disconnect();
  }
}
