import { t as compatLink } from "../socket-BpJ0G4VX.js";
//#region src/compat/zerostate.ts
const PATH = "/api/v1/ws/connect";
const PING_MS = 25e3;
var ZeroStateWebSocket = class {
	#link;
	#pings;
	constructor(options = {}) {
		const { token } = options;
		this.#link = compatLink(() => token ? `${PATH}?token=${encodeURIComponent(token)}` : PATH, PING_MS, options);
		this.#link.on("frame", ({ frame }) => this.handleMessage(frame));
		this.#link.on("state", (state) => this.onStateChange(state));
		this.#pings = setInterval(() => this.send({
			type: "ping",
			timestamp: (/* @__PURE__ */ new Date()).toISOString()
		}), PING_MS);
		this.connect();
	}
	get state() {
		return this.#link.state;
	}
	connect() {
		this.#link.connect();
	}
	handleMessage(message) {
		const data = message.data;
		if (message.type === "task_update") this.handleTaskUpdate(data);
		else if (message.type === "agent_update") this.handleAgentUpdate(data);
		else if (message.type === "system") this.handleSystemMessage(data);
		else if (message.type !== "pong") this.handleCustomEvent(message);
	}
	send(message) {
		this.#link.send(message);
	}
	/** Override these in your app. */
	handleTaskUpdate(_data) {}
	handleAgentUpdate(_data) {}
	handleSystemMessage(_data) {}
	handleCustomEvent(_message) {}
	onStateChange(_state) {}
	close() {
		clearInterval(this.#pings);
		this.#link.disconnect();
	}
};
const BADGE = {
	connected: ["Connected", "#22c55e"],
	connecting: ["Connecting…", "#eab308"],
	disconnected: ["Disconnected", "#ef4444"]
};
/** Shows the state of `client` in the badge; answers with a function that stops doing so. */
function statusBadge(client, root = document) {
	const badge = root.getElementById("ws-status") ?? makeBadge(root);
	const dot = root.getElementById("ws-status-indicator");
	const text = root.getElementById("ws-status-text");
	const show = (state) => {
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
function makeBadge(root) {
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
		font: "14px system-ui, sans-serif"
	});
	Object.assign(dot.style, {
		display: "inline-block",
		width: ".5rem",
		height: ".5rem",
		borderRadius: "50%",
		marginRight: ".5rem"
	});
	return badge;
}
//#endregion
export { ZeroStateWebSocket, statusBadge };
