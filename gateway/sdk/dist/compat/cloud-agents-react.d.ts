import { t as CompatOptions } from "../socket-CN3tHzRG.js";
import { AgentStatus, Notification, Presence } from "./cloud-agents.js";

//#region src/compat/cloud-agents-react.d.ts
interface UseWebSocket {
  isConnected: boolean;
  agentStatus: AgentStatus | null;
  notifications: Notification[];
  sendPresence: (status: Presence) => void;
}
/** `options` are read when the token changes. */
declare function useWebSocket(token: string, options?: CompatOptions): UseWebSocket;
//#endregion
export { UseWebSocket, useWebSocket };