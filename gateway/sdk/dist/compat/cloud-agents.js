import { t as compatLink } from "../socket-BpJ0G4VX.js";
//#region src/compat/cloud-agents.ts
var CloudAgentsWebSocket = class {
	#link;
	#token;
	constructor(token, options = {}) {
		this.#token = token;
		this.#link = compatLink(() => `/ws?token=${encodeURIComponent(this.#token)}`, 3e4, options);
		this.#link.on("frame", ({ frame }) => this.handleMessage(frame));
		this.#link.on("state", (state) => this.onStateChange(state));
		this.connect();
	}
	get token() {
		return this.#token;
	}
	/** Used from the next connection on. */
	set token(token) {
		this.#token = token;
	}
	get isConnected() {
		return this.#link.state === "connected";
	}
	connect() {
		this.#link.connect();
	}
	handleMessage(message) {
		const data = message.data;
		if (message.type === "ping") this.send({ type: "pong" });
		else if (message.type === "auth") this.onAuth(data);
		else if (message.type === "agent_status") this.onAgentStatus(data);
		else if (message.type === "chat_message") this.onChatMessage(data);
		else if (message.type === "notification") this.onNotification(data);
		else if (message.type === "user_presence") this.onUserPresence(data);
		else if (message.type === "error") this.onError(data);
	}
	/** Without effect while not connected. */
	send(message) {
		this.#link.send(message);
	}
	setPresence(status) {
		this.send({
			type: "user_presence",
			data: status
		});
	}
	/** Override these in your app. */
	onAgentStatus(_data) {}
	onChatMessage(_data) {}
	onNotification(_data) {}
	onUserPresence(_data) {}
	onAuth(_data) {}
	onError(_data) {}
	onStateChange(_state) {}
	close() {
		this.#link.disconnect();
	}
};
//#endregion
export { CloudAgentsWebSocket };
