/** Successor of the Code Cloud Agents React hook: same name, same result. */

import { useCallback, useEffect, useRef, useState } from "react";
import { type AgentStatus, CloudAgentsWebSocket, type Notification, type Presence } from "./cloud-agents.ts";
import type { CompatOptions } from "./socket.ts";

/** How many notifications are kept; the original kept all, for ever. */
const NOTIFICATIONS_MAX = 200;

export interface UseWebSocket {
  isConnected: boolean;
  agentStatus: AgentStatus | null;
  notifications: Notification[];
  sendPresence: (status: Presence) => void;
}

/** `options` are read when the token changes. */
export function useWebSocket(token: string, options: CompatOptions = {}): UseWebSocket {
  const [isConnected, setConnected] = useState(false);
  const [agentStatus, setAgentStatus] = useState<AgentStatus | null>(null);
  const [notifications, setNotifications] = useState<Notification[]>([]);
  const client = useRef<CloudAgentsWebSocket | null>(null);
  const latest = useRef(options);
  latest.current = options;

  useEffect(() => {
    const socket = new CloudAgentsWebSocket(token, latest.current);
    client.current = socket;
    socket.onStateChange = (state) => setConnected(state === "connected");
    socket.onAgentStatus = setAgentStatus;
    socket.onNotification = (one) => setNotifications((before) => [...before, one].slice(-NOTIFICATIONS_MAX));
    return () => {
      socket.close();
      setConnected(false);
    };
  }, [token]);

  const sendPresence = useCallback((status: Presence) => client.current?.setPresence(status), []);
  return { isConnected, agentStatus, notifications, sendPresence };
}
