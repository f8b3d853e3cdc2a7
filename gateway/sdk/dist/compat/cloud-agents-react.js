import { CloudAgentsWebSocket } from "./cloud-agents.js";
import { useCallback, useEffect, useRef, useState } from "react";
//#region src/compat/cloud-agents-react.ts
/** Successor of the Code Cloud Agents React hook: same name, same result. */
/** How many notifications are kept; the original kept all, for ever. */
const NOTIFICATIONS_MAX = 200;
/** `options` are read when the token changes. */
function useWebSocket(token, options = {}) {
	const [isConnected, setConnected] = useState(false);
	const [agentStatus, setAgentStatus] = useState(null);
	const [notifications, setNotifications] = useState([]);
	const client = useRef(null);
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
	return {
		isConnected,
		agentStatus,
		notifications,
		sendPresence: useCallback((status) => client.current?.setPresence(status), [])
	};
}
//#endregion
export { useWebSocket };
