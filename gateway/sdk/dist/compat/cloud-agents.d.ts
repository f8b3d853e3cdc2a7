import { t as ConnectionState } from "../link-QoMBa9CB.js";
import { t as CompatOptions } from "../socket-CN3tHzRG.js";

//#region src/compat/cloud-agents.d.ts
interface AgentStatus {
  agentName: string;
  state: "idle" | "working" | "stopped";
  currentTask?: string;
  progress?: number;
}
interface ChatMessage {
  conversationId: string;
  messageId: string;
  content: string;
  sender: string;
  timestamp: string;
}
interface Notification {
  level: "info" | "success" | "warning" | "error";
  message: string;
}
type Presence = "online" | "away" | "busy" | "offline";
interface UserPresence {
  userId?: string;
  status: Presence;
}
interface Message {
  type: string;
  data?: unknown;
  timestamp?: string;
}
declare class CloudAgentsWebSocket {
  #private;
  constructor(token: string, options?: CompatOptions);
  get token(): string;
  /** Used from the next connection on. */
  set token(token: string);
  get isConnected(): boolean;
  connect(): void;
  handleMessage(message: Message): void;
  /** Without effect while not connected. */
  send(message: Message): void;
  setPresence(status: Presence): void;
  /** Override these in your app. */
  onAgentStatus(_data: AgentStatus): void;
  onChatMessage(_data: ChatMessage): void;
  onNotification(_data: Notification): void;
  onUserPresence(_data: UserPresence): void;
  onAuth(_data: {
    success: boolean;
    userId?: string;
    error?: string;
  }): void;
  onError(_data: {
    error: string;
  }): void;
  onStateChange(_state: ConnectionState): void;
  close(): void;
}
//#endregion
export { AgentStatus, ChatMessage, CloudAgentsWebSocket, Message, Notification, Presence, UserPresence };