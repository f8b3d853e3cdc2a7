import { t as ConnectionState } from "../link-QoMBa9CB.js";
import { t as CompatOptions } from "../socket-CN3tHzRG.js";

//#region src/compat/zerostate.d.ts
interface TaskUpdate {
  task_id: string;
  status: "queued" | "running" | "completed" | "failed";
  query: string;
  progress: number;
}
interface AgentUpdate {
  agent_id: string;
  name: string;
  action: "registered" | "updated" | "deleted";
}
interface SystemMessage {
  message: string;
  level?: "info" | "success" | "warning" | "error";
}
interface Message {
  type: string;
  timestamp?: string;
  data?: unknown;
  user_id?: string;
}
interface ZeroStateOptions extends CompatOptions {
  token?: string | undefined;
}
declare class ZeroStateWebSocket {
  #private;
  constructor(options?: ZeroStateOptions);
  get state(): ConnectionState;
  connect(): void;
  handleMessage(message: Message): void;
  send(message: Message): void;
  /** Override these in your app. */
  handleTaskUpdate(_data: TaskUpdate): void;
  handleAgentUpdate(_data: AgentUpdate): void;
  handleSystemMessage(_data: SystemMessage): void;
  handleCustomEvent(_message: Message): void;
  onStateChange(_state: ConnectionState): void;
  close(): void;
}
/** Shows the state of `client` in the badge; answers with a function that stops doing so. */
declare function statusBadge(client: ZeroStateWebSocket, root?: Document): () => void;
//#endregion
export { AgentUpdate, Message, SystemMessage, TaskUpdate, ZeroStateOptions, ZeroStateWebSocket, statusBadge };