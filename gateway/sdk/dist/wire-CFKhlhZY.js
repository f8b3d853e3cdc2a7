//#region src/codes.ts
const CODES = {
	1e3: ["stop", "done"],
	1001: ["retry", "the server is going away"],
	1002: ["retry", "protocol error"],
	1003: ["retry", "unsupported data"],
	1005: ["retry", "closed without a reason"],
	1006: ["retry", "connection lost"],
	1007: ["retry", "invalid data"],
	1008: ["retry", "against the server's policy"],
	1009: ["retry", "message too big"],
	1011: ["retry", "internal error of the server"],
	1012: ["retry", "the server restarts"],
	1013: ["retry", "the server is over capacity"],
	4001: ["token", "token missing, invalid or expired"],
	4003: ["stop", "forbidden"],
	4008: ["retry", "heartbeat timeout"],
	4009: ["retry", "too many connections of this user"]
};
/** What to do after a close. Codes that nobody knows are retried: the server may be newer. */
function verdict(code) {
	return CODES[code]?.[0] ?? "retry";
}
/** A close code in words. */
function meaning(code) {
	return CODES[code]?.[1] ?? `closed with code ${code}`;
}
/** Something that went wrong, told by the server or found here. */
var FanfareError = class extends Error {
	name = "FanfareError";
	constructor(code, message, terminal = false, details = void 0) {
		super(message);
		this.code = code;
		this.terminal = terminal;
		this.details = details;
	}
};
//#endregion
//#region src/emitter.ts
/** `E` maps the name of each event to what its listeners receive. */
var Emitter = class {
	#listeners = /* @__PURE__ */ new Map();
	/** Calls `listener` on each `event` until the answer is called. */
	on(event, listener) {
		const listeners = this.#listeners.get(event) ?? /* @__PURE__ */ new Set();
		this.#listeners.set(event, listeners.add(listener));
		return () => void listeners.delete(listener);
	}
	/** Calls `listener` on the next `event` only. */
	once(event, listener) {
		const stop = this.on(event, (value) => {
			stop();
			listener(value);
		});
		return stop;
	}
	/** A listener that throws is reported to the host: it keeps nobody else from hearing, and ends no process. */
	emit(event, value) {
		for (const listener of [...this.#listeners.get(event) ?? []]) try {
			listener(value);
		} catch (error) {
			(globalThis.reportError ?? console.error)(error);
		}
	}
};
//#endregion
//#region src/backoff.ts
/** Full jitter: a random wait below a bound that doubles with each attempt. */
/** Milliseconds to wait before `attempt` (from 1), between `min` and `max`. */
function backoff(attempt, min, max, random = Math.random) {
	const bound = Math.min(max, min * 2 ** Math.min(attempt, 20));
	return Math.round(min + random() * (bound - min));
}
//#endregion
//#region src/link.ts
/**
* A connection that comes back: back-off with full jitter, close codes, heartbeat, wake-up of the
* page, and make-before-break. It knows no protocol; `Fanfare` and the compatible clients of the
* older services stand on it.
*/
const PROBE_MS = 8e3;
const HANDOVER_MS = 1e4;
/** A connection that was not sent on for so long has settled. */
const SETTLED_MS = 6e4;
var Link = class extends Emitter {
	#state = "disconnected";
	#wire = null;
	#leaving = null;
	/** The attempt under way; a wire of an older one is none of ours any more. */
	#dialling = null;
	#next = null;
	#attempt = {
		failures: 0,
		freshToken: false
	};
	#timers = {};
	#beatMs = 0;
	#seen = 0;
	/** How often in a row we were sent on, and when last. */
	#moves = 0;
	#movedAt = 0;
	#sleep = null;
	#options;
	constructor(options) {
		super();
		this.#options = options;
	}
	get state() {
		return this.#state;
	}
	/** The wire in use, if any. */
	get wire() {
		return this.#wire;
	}
	connect() {
		if (this.#state !== "disconnected") return;
		this.#attempt = {
			failures: 0,
			freshToken: false
		};
		this.#sleep = onWake(() => this.wake());
		this.#dial();
	}
	/** Ends the connection and all attempts. */
	disconnect() {
		this.#stop();
		this.#to("disconnected");
	}
	/** The protocol's greeting has come over `wire`: it is the one in use from here on. */
	ready(wire) {
		if (wire !== this.#next) return;
		this.#clear("connect", "retry");
		this.#leaving?.close(1e3);
		this.#leaving = this.#wire;
		[this.#wire, this.#next, this.#dialling] = [
			wire,
			null,
			null
		];
		this.#attempt = {
			failures: 0,
			freshToken: false
		};
		this.#seen = Date.now();
		if (this.#leaving) this.#after("handover", HANDOVER_MS, () => this.handedOver());
		this.#to("connected");
	}
	/** Everything was taken over by the new wire: leave the old one. */
	handedOver() {
		this.#clear("handover");
		this.#leaving?.close(1e3, "moved");
		this.#leaving = null;
	}
	/**
	* Changes the server, as the one in use asks us to. A balancer may lead back to it as long as it
	* serves: it asks again, and we, served meanwhile, try again with growing delays.
	*/
	move(afterMs, reason) {
		this.#moves = Date.now() - this.#movedAt < SETTLED_MS ? this.#moves + 1 : 0;
		this.#movedAt = Date.now();
		this.replace(afterMs + (this.#moves > 0 ? backoff(this.#moves, this.#min, this.#max) : 0), reason);
	}
	/** Opens a second wire after `delay`, and lets go of the first once the second is ready. */
	replace(delay, reason) {
		if (this.#state === "disconnected" || this.#dialling || this.#timers.retry !== void 0) return;
		this.emit("reconnecting", {
			attempt: 0,
			delay,
			reason
		});
		this.#after("retry", delay, () => this.#dial());
	}
	/** Expects a sign of life each `ms`; asks for one when there is none, and then gives up. */
	beat(ms) {
		this.#beatMs = ms;
		this.#clear("beat");
		if (ms > 0) this.#after("beat", ms, () => this.#tick());
	}
	/** Retries at once if waiting, else asks whether the connection still lives. */
	wake() {
		if (this.#timers.retry !== void 0) {
			this.#clear("retry");
			this.#dial();
		} else if (this.#state === "connected") this.#probe();
	}
	send(frame) {
		this.#wire?.send(frame);
	}
	#tick() {
		if (Date.now() - this.#seen >= this.#beatMs) this.#probe();
		this.beat(this.#beatMs);
	}
	#probe() {
		const wire = this.#wire;
		if (!wire || this.#timers.probe !== void 0 || this.#beatMs === 0) return;
		wire.send({ type: "ping" });
		this.#after("probe", Math.min(PROBE_MS, this.#beatMs), () => {
			wire.close(4008, "heartbeat timeout");
			this.#closed(wire, 4008, "no sign of life");
		});
	}
	#dial() {
		this.#clear("retry");
		if (!this.#wire) this.#to("connecting");
		const token = this.#dialling = {};
		const listener = {
			opened: (wire) => this.emit("opened", wire),
			alive: (wire) => {
				if (wire !== this.#wire) return;
				this.#seen = Date.now();
				this.#clear("probe");
			},
			frame: (wire, frame) => this.emit("frame", {
				frame,
				wire
			}),
			closed: (wire, code, reason) => this.#closed(wire, code, reason)
		};
		this.#after("connect", this.#options.connectTimeout ?? 1e4, () => {
			this.#next?.close(1e3);
			this.#failed(1006, "no answer in time");
		});
		this.#options.dial(listener, this.#attempt).then((wire) => {
			if (this.#dialling === token) this.#next = wire;
			else wire.close(1e3);
		}, (error) => {
			if (this.#dialling !== token) return;
			if (error instanceof FanfareError && error.terminal) this.#giveUp(error);
			else this.#failed(1006, String(error));
		});
	}
	#closed(wire, code, reason) {
		if (wire === this.#leaving) this.#leaving = null;
		else if (wire === this.#next) this.#failed(code, reason);
		else if (wire === this.#wire) {
			this.#wire = null;
			this.#clear("beat", "probe");
			if (this.#dialling || this.#timers.retry !== void 0) {
				this.emit("lost", {
					code,
					reason
				});
				this.#to("connecting");
			} else this.#failed(code, reason);
		}
	}
	/** Decides by the code whether to come back, and when. */
	#failed(code, reason) {
		this.#clear("connect");
		this.#next = this.#dialling = null;
		this.emit("lost", {
			code,
			reason
		});
		const what = verdict(code);
		const stale = what === "token" && this.#attempt.freshToken;
		if (what === "stop" || stale) return this.#giveUp(new FanfareError(code, reason || meaning(code), true));
		const failures = this.#attempt.failures + 1;
		const delay = what === "token" ? 0 : backoff(failures, this.#min, this.#max);
		this.#attempt = {
			failures,
			freshToken: what === "token"
		};
		if (!this.#wire) this.#to("connecting");
		this.emit("reconnecting", {
			attempt: failures,
			delay,
			reason: reason || meaning(code)
		});
		this.#after("retry", delay, () => this.#dial());
	}
	get #min() {
		return this.#options.minReconnectDelay ?? 500;
	}
	get #max() {
		return this.#options.maxReconnectDelay ?? 2e4;
	}
	#giveUp(error) {
		this.#stop();
		this.#to("disconnected");
		this.emit("error", error);
	}
	#stop() {
		this.#sleep?.();
		this.#clear("retry", "connect", "beat", "probe", "handover");
		for (const wire of [
			this.#wire,
			this.#next,
			this.#leaving
		]) wire?.close(1e3);
		this.#wire = this.#next = this.#leaving = this.#dialling = this.#sleep = null;
	}
	#to(state) {
		if (this.#state === state) return;
		this.#state = state;
		this.emit("state", state);
	}
	#after(name, ms, run) {
		this.#clear(name);
		this.#timers[name] = setTimeout(() => {
			delete this.#timers[name];
			run();
		}, ms);
	}
	#clear(...names) {
		for (const name of names) {
			clearTimeout(this.#timers[name]);
			delete this.#timers[name];
		}
	}
};
/** Calls `wake` when the network is back or the page is looked at again; browsers only. */
function onWake(wake) {
	if (typeof window === "undefined" || typeof document === "undefined") return () => {};
	const visible = () => {
		if (document.visibilityState === "visible") wake();
	};
	window.addEventListener("online", wake);
	document.addEventListener("visibilitychange", visible);
	return () => {
		window.removeEventListener("online", wake);
		document.removeEventListener("visibilitychange", visible);
	};
}
//#endregion
//#region src/wire.ts
function parse(text) {
	try {
		const frame = JSON.parse(String(text));
		return frame !== null && typeof frame === "object" && !Array.isArray(frame) ? frame : null;
	} catch {
		return null;
	}
}
/** Opens a WebSocket. */
function openSocket(Socket, url, to, protocols) {
	const socket = protocols ? new Socket(url, protocols) : new Socket(url);
	let over = false;
	const wire = {
		kind: "websocket",
		send: (frame) => {
			if (socket.readyState === 1) socket.send(JSON.stringify(frame));
		},
		close: (code = 1e3, reason = "") => {
			over = true;
			socket.close(code, reason);
		}
	};
	socket.onopen = () => {
		if (!over) to.opened(wire);
	};
	socket.onmessage = (event) => {
		if (over) return;
		to.alive(wire);
		const frame = parse(event.data);
		if (frame !== null) to.frame(wire, frame);
	};
	socket.onerror = () => {};
	socket.onclose = (event) => {
		if (over) return;
		over = true;
		to.closed(wire, event.code, String(event.reason ?? ""));
	};
	return wire;
}
/** What a refused event stream corresponds to among the close codes. */
function closeCodeOf(status) {
	if (status === 401) return 4001;
	if (status === 403) return 4003;
	return status >= 400 && status < 500 && status !== 429 && status !== 408 ? 1008 : 1006;
}
/**
* Opens a stream of server-sent events with `fetch`, which, unlike `EventSource`, is in Node too
* and can send headers. `id` receives the `id:` of each frame, from which the stream resumes.
*/
function openEvents(fetch, url, headers, to, id) {
	const abort = new AbortController();
	const close = (code, reason) => {
		if (abort.signal.aborted) return;
		abort.abort();
		to.closed(wire, code, reason);
	};
	const wire = {
		kind: "sse",
		send: () => {},
		close: () => abort.abort()
	};
	const run = async () => {
		const response = await fetch(url, {
			headers: {
				accept: "text/event-stream",
				...headers
			},
			signal: abort.signal,
			cache: "no-store"
		});
		if (!response.ok || !response.body) return close(closeCodeOf(response.status), `HTTP ${response.status}`);
		to.opened(wire);
		const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
		const read = lines((field, value) => {
			if (field === "id") id(value);
			const frame = field === "data" ? parse(value) : null;
			if (frame !== null && !abort.signal.aborted) to.frame(wire, frame);
		});
		for (let part = await reader.read(); !part.done; part = await reader.read()) {
			to.alive(wire);
			read(part.value);
		}
		close(1006, "the event stream ended");
	};
	run().catch((error) => close(1006, String(error)));
	return wire;
}
/**
* Cuts server-sent events out of chunks of text. Our frames are one `data:` line each; the `id:` of
* a frame is told after it, so that a position is never ahead of what was delivered.
*/
function lines(field) {
	let rest = "";
	let id = "";
	let data = [];
	return (chunk) => {
		const parts = (rest + chunk).split(/\r\n|\n|\r(?!$)/);
		rest = parts.pop() ?? "";
		for (const line of parts) {
			const [, name, value = ""] = /^(\w*): ?(.*)$/.exec(line) ?? [];
			if (line === "") {
				if (data.length > 0) field("data", data.join("\n"));
				if (id) field("id", id);
				[id, data] = ["", []];
			} else if (name === "data") data.push(value);
			else if (name === "id") id = value;
		}
	};
}
//#endregion
export { FanfareError as a, Emitter as i, openSocket as n, meaning as o, Link as r, verdict as s, openEvents as t };
