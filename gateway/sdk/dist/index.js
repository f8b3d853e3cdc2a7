import { a as FanfareError, i as Emitter, n as openSocket, o as meaning, r as Link, s as verdict, t as openEvents } from "./wire-CFKhlhZY.js";
import { a as foldEntity, i as fold, n as distance, o as logLines, r as LOG_LINES_MAX, t as covers } from "./position-5sfRngvh.js";
//#region src/feed.ts
/**
* One channel on the wire. However many subscriptions read it, the server sees one; the feed keeps
* its position, drops repeats, folds the state and tells all readers.
*/
/** Only entities have a state; an event of the same name on a user's channel changes none. */
const FOLDED = /^(deployment|task|agent|container):/;
var Feed = class {
	position;
	head = null;
	state = null;
	/** Confirmed on the connection in use. */
	active = false;
	/** When the server was asked, ms since 1970; null once it has refused. */
	askedAt = null;
	readers = /* @__PURE__ */ new Set();
	/** Confirmed at least once; what comes before that belongs to an earlier subscription. */
	#joined = false;
	/** What the server was asked to go on from, and whether it was asked for a tail; SSE asks neither. */
	#since = null;
	#tailAsked = false;
	/** The state is whole. After a `since` from outside it is not, until the server sends it. */
	#known = false;
	/** Readers that wait for their tail, and the events that wait with them. */
	#held = /* @__PURE__ */ new Map();
	#options;
	#history;
	constructor(channel, options, history) {
		this.channel = channel;
		this.#options = options;
		this.#history = history;
		this.position = options.since ?? null;
	}
	/** The frame that starts the channel, or resumes it where it was left. */
	request() {
		const { mode, tail } = this.#options;
		const since = this.#since = this.position;
		this.#tailAsked = since === null && tail !== void 0;
		return {
			type: "subscribe",
			channel: this.channel,
			...since !== null && { since },
			...mode && { mode },
			...tail && since === null && { tail }
		};
	}
	/** An event stream is about to start the channel: it resumes by an id of its own, or begins anew. */
	streamed() {
		this.#since = this.#joined ? this.position : null;
		this.#tailAsked = false;
	}
	/** Where an event stream goes on; null where it begins anew. */
	get resumesAt() {
		return this.#joined ? this.position : null;
	}
	join(reader) {
		this.readers.add(reader);
		if (this.#joined) this.#joinLate(reader);
	}
	/** The connection is gone; positions stay. */
	suspend() {
		this.active = false;
		for (const reader of this.readers) reader.active = false;
	}
	subscribed(frame) {
		const { channel } = this;
		const { position } = frame;
		const first = !this.#joined;
		const resumed = this.#since !== null;
		const recovered = resumed && position !== null && covers(channel, this.#since, position) && covers(channel, position, this.#since);
		this.#joined = this.active = true;
		this.head = frame.head;
		if (!resumed) [this.position, this.state, this.#known] = [
			position,
			frame.state,
			true
		];
		if (first && !resumed && this.#options.since) {
			const { since } = this.#options;
			this.failed({
				type: "error",
				code: "since",
				message: `an event stream cannot begin at ${since}: read history()`,
				channel
			});
		}
		for (const reader of this.readers) {
			if (this.#held.has(reader)) continue;
			if (first && !resumed && !this.#tailAsked && reader.options.tail) this.#joinLate(reader);
			else this.#greet(reader, recovered);
		}
	}
	event(frame) {
		if (!this.#joined) return;
		if (!frame.tail) {
			if (covers(this.channel, this.position, frame.position)) return;
			this.position = frame.position;
			if (!covers(this.channel, this.head, frame.position)) this.head = frame.position;
			this.#fold(frame);
		}
		for (const reader of this.readers) {
			const held = this.#held.get(reader);
			if (frame.tail ? !reader.options.tail || held : held?.push(frame)) continue;
			this.#tellEvent(reader, frame);
		}
	}
	gap(frame) {
		const back = frame.cause === "epoch" || frame.cause === "ahead";
		if (!this.#joined || !back && covers(this.channel, this.position, frame.to)) return;
		this.position = frame.to;
		for (const reader of this.readers) {
			reader.position = frame.to;
			reader.tell("gap", frame);
		}
	}
	whole(frame) {
		const older = this.position !== frame.position && covers(this.channel, this.position, frame.position);
		if (!this.#joined || older) return;
		[this.position, this.state, this.#known] = [
			frame.position,
			frame.state,
			true
		];
		for (const reader of this.readers) {
			reader.position = frame.position;
			reader.tellState(frame);
		}
	}
	presence(frame) {
		for (const reader of this.readers) reader.tell("presence", frame);
	}
	failed(frame) {
		this.askedAt = null;
		const error = new FanfareError(frame.code, frame.message, false, frame.details);
		for (const reader of this.readers) reader.tell("error", error);
	}
	/** An event that cannot be folded is told like any other; the state is unknown until it comes whole. */
	#fold(frame) {
		if (!this.#known || !FOLDED.test(this.channel)) return;
		try {
			this.state = fold(this.state, frame);
		} catch (error) {
			[this.state, this.#known] = [null, false];
			this.failed({
				type: "error",
				code: "fold",
				message: String(error),
				channel: this.channel
			});
		}
	}
	/** One that comes late is told what the others know; its tail is read by HTTP. */
	#joinLate(reader) {
		const known = this.position;
		const held = [];
		this.#held.set(reader, held);
		const start = (events) => {
			this.#held.delete(reader);
			this.#greet(reader, false);
			for (const event of events) if (covers(this.channel, known, event.position)) reader.tell("event", {
				...event,
				tail: true
			});
			for (const event of held) this.#tellEvent(reader, event);
		};
		const { tail } = reader.options;
		(tail ? this.#history(tail) : Promise.resolve([])).then(start, (error) => {
			reader.tell("error", error);
			start([]);
		});
	}
	#greet(reader, recovered) {
		const { channel, position, head, state, active } = this;
		const changed = reader.state !== state;
		Object.assign(reader, {
			position,
			state,
			active
		});
		reader.tell("subscribed", {
			channel,
			position,
			head,
			state,
			recovered
		});
		if (changed) reader.tell("state", state);
	}
	#tellEvent(reader, frame) {
		const changed = !frame.tail && reader.state !== this.state;
		if (!frame.tail) Object.assign(reader, {
			position: frame.position,
			state: this.state
		});
		reader.tell("event", frame);
		if (changed) reader.tell("state", this.state);
	}
};
//#endregion
//#region src/pace.ts
/** Keeps to the rate that a server allows: what goes over it waits here, in order, and nothing is lost. */
/** How many seconds' worth may go at once, as the server counts. */
const BURST_SECONDS = 4;
/** Left for what does not wait here: the pings of the link. */
const SHARE = .9;
var Pace = class {
	#send;
	#waiting = [];
	#perSecond = Number.POSITIVE_INFINITY;
	#left = 0;
	#at = 0;
	#timer;
	constructor(send) {
		this.#send = send;
	}
	/** A connection begins, with a whole allowance; a server that says nothing sets no limit. */
	begin(perSecond) {
		this.clear();
		this.#perSecond = perSecond && perSecond > 0 ? perSecond * SHARE : Number.POSITIVE_INFINITY;
		this.#left = this.#perSecond * BURST_SECONDS;
		this.#at = Date.now();
	}
	/** The connection is gone, and with it what waited for it. */
	clear() {
		clearTimeout(this.#timer);
		this.#timer = void 0;
		this.#waiting.length = 0;
	}
	send(frame) {
		this.#waiting.push(frame);
		if (this.#timer === void 0) this.#flush();
	}
	#flush() {
		this.#timer = void 0;
		const now = Date.now();
		const most = this.#perSecond * BURST_SECONDS;
		if (Number.isFinite(most)) this.#left = Math.min(most, this.#left + (now - this.#at) / 1e3 * this.#perSecond);
		this.#at = now;
		let sent = 0;
		for (; sent < this.#waiting.length && this.#left >= 1; sent += 1) {
			this.#left -= 1;
			this.#send(this.#waiting[sent]);
		}
		this.#waiting.splice(0, sent);
		if (this.#waiting.length === 0) return;
		this.#timer = setTimeout(() => this.#flush(), Math.ceil((1 - this.#left) / this.#perSecond * 1e3));
	}
};
//#endregion
//#region src/subscription.ts
/** Made by `Fanfare.subscribe`. */
var Subscription = class extends Emitter {
	/** The folded state; null while unknown, and on channels that have none. */
	state = null;
	/** The last position seen. Keep it to resume later: `subscribe(channel, { since })`. */
	position = null;
	/** The server has confirmed the subscription on the connection in use. */
	active = false;
	#queues = /* @__PURE__ */ new Set();
	#closed = false;
	#leave;
	/** @internal */
	constructor(channel, options, leave) {
		super();
		this.channel = channel;
		this.options = options;
		this.#leave = leave;
		if (options.signal?.aborted) queueMicrotask(() => this.unsubscribe());
		options.signal?.addEventListener("abort", () => this.unsubscribe(), { once: true });
	}
	get closed() {
		return this.#closed;
	}
	/** Ends this reader; the last one of a channel ends the channel's subscription. */
	unsubscribe() {
		if (this.#closed) return;
		this.#closed = true;
		this.active = false;
		this.#leave();
		for (const push of this.#queues) push(null);
		this.emit("closed", void 0);
	}
	/** @internal One thing that happened on the channel. */
	tell(what, value) {
		if (this.#closed) return;
		if (what === "event" || what === "gap" || what === "presence") for (const push of this.#queues) push(value);
		this.emit(what, value);
	}
	/** @internal A state that the server sent whole. */
	tellState(frame) {
		this.state = frame.state;
		if (this.#closed) return;
		for (const push of this.#queues) push(frame);
		this.emit("state", frame.state);
	}
	/**
	* Events, gaps and whole states in order, from the call on; ends with `unsubscribe()`. Leaving the
	* loop leaves the subscription as it is. A loop that falls `buffer` items behind loses them, and
	* is told so by a gap of cause `buffer`.
	*/
	async *[Symbol.asyncIterator]() {
		const limit = this.options.buffer ?? 1e4;
		let queue = [];
		let wake = () => {};
		let over = this.#closed;
		const push = (item) => {
			if (item === null) over = true;
			else if (queue.length < limit) queue.push(item);
			else queue = [lost(this.channel, queue), item];
			wake();
		};
		this.#queues.add(push);
		try {
			while (true) {
				const item = queue.shift();
				if (item) yield item;
				else if (over) return;
				else await new Promise((resolve) => wake = resolve);
			}
		} finally {
			this.#queues.delete(push);
		}
	}
};
/** The gap that stands for items which a slow reader lost. */
function lost(channel, queue) {
	const first = queue[0];
	let from = "";
	let to = "";
	for (const item of queue) {
		if (item.type === "presence") continue;
		const at = item.type === "gap" ? item.to : item.position;
		from ||= item.type === "gap" ? item.from : at;
		if (!covers(channel, to || null, at)) to = at;
	}
	return first?.type === "gap" && first.cause === "buffer" ? {
		...first,
		to
	} : {
		type: "gap",
		channel,
		from,
		to,
		cause: "buffer"
	};
}
//#endregion
//#region src/client.ts
/** The client: one connection to a gateway, any number of channels. */
const EXPIRY_MARGIN_MS = 3e4;
const TIMER_MAX_MS = 2 ** 31 - 1;
/** A request that was not answered for so long is made again. */
const UNCONFIRMED_MS = 2e4;
var Fanfare = class extends Emitter {
	/** Where HTTP goes: `https://host/prefix`. */
	url;
	connection = null;
	degraded = {
		type: "status",
		degraded: false
	};
	#options;
	#link;
	#pace = new Pace((frame) => this.#link.send(frame));
	#feeds = /* @__PURE__ */ new Map();
	#pongs = [];
	#token;
	#refresh;
	#unconfirmed;
	/** What was last said of this user, said anew after a reconnection. */
	#presence = null;
	/** The channels of the event stream, which has them in its address. */
	#streamed = /* @__PURE__ */ new Set();
	#everOpened = false;
	/** `url`: `https://host`, `wss://host`, with or without a path in front of `/v1`; default: the page's own host. */
	constructor(url = "", options = {}) {
		super();
		const base = typeof location === "undefined" ? void 0 : location.origin;
		this.url = new URL(url, base).href.replace(/^ws/, "http").replace(/\/+$/, "");
		this.#options = options;
		this.#token = options.token ?? null;
		this.#link = new Link({
			...options,
			dial: (listener, attempt) => this.#dial(listener, attempt)
		});
		this.#link.on("opened", (wire) => this.#everOpened ||= wire.kind === "websocket");
		this.#link.on("frame", ({ frame, wire }) => this.#frame(frame, wire));
		this.#link.on("reconnecting", (value) => this.emit("reconnecting", value));
		this.#link.on("lost", (value) => this.emit("disconnected", value));
		this.#link.on("error", (value) => this.emit("error", value));
		this.#link.on("state", (state) => {
			if (state !== "connected") {
				this.connection = null;
				this.#pace.clear();
				clearInterval(this.#unconfirmed);
				for (const pong of this.#pongs.splice(0)) pong(false);
				for (const feed of this.#feeds.values()) feed.suspend();
			}
			this.emit("state", state);
		});
	}
	get state() {
		return this.#link.state;
	}
	/** Connects; `subscribe` does it too. After a terminal error this is the way back. */
	connect() {
		this.#link.connect();
		return this;
	}
	/** Leaves the server. Subscriptions stay and resume with the next `connect()`. */
	disconnect() {
		clearTimeout(this.#refresh);
		this.#link.disconnect();
	}
	/** Leaves the server and ends all subscriptions. */
	close() {
		this.disconnect();
		for (const feed of [...this.#feeds.values()]) for (const reader of [...feed.readers]) reader.unsubscribe();
	}
	/** Another token, from now on; the open connection changes to it at once. */
	setToken(token) {
		this.#token = token;
		if (token) this.#pace.send({
			type: "token",
			token
		});
		this.#scheduleRefresh();
	}
	/**
	* Listens to a channel. Several subscriptions of one channel share what the server sends; `since`
	* and `mode` are the first one's to say.
	*/
	subscribe(channel, options = {}) {
		const reader = new Subscription(channel, options, () => this.#leave(reader));
		let feed = this.#feeds.get(channel);
		if (!feed) {
			const tail = (limit) => this.history(channel, {
				limit,
				reverse: true
			});
			feed = new Feed(channel, options, async (limit) => (await tail(limit)).events.reverse());
			this.#feeds.set(channel, feed);
			this.#request(feed);
		}
		feed.join(reader);
		this.connect();
		return reader;
	}
	/** A page of the channel's archive; with `reverse` the newest events first. */
	async history(channel, query = {}) {
		const search = new URLSearchParams();
		for (const [key, value] of Object.entries(query)) if (value !== void 0) search.set(key, String(value));
		return this.#http(`/v1/channels/${encodeURIComponent(channel)}/events?${search}`);
	}
	/** Publishes over HTTP; answered after the events are stored. All of an array or none. */
	async publish(events) {
		return { published: (await this.#http("/v1/publish", {
			method: "POST",
			headers: { "content-type": "application/json" },
			body: JSON.stringify(events)
		})).published ?? [] };
	}
	/** Tells others of this user's presence; lost with the connection. */
	presence(status) {
		this.#presence = status;
		if (this.state === "connected") this.#pace.send({
			type: "presence",
			status
		});
	}
	/** Milliseconds there and back; null where it cannot be measured (SSE, not connected). */
	async ping() {
		if (this.connection?.transport !== "websocket") return null;
		const start = performance.now();
		const pong = new Promise((resolve) => this.#pongs.push(resolve));
		this.#pace.send({ type: "ping" });
		return await pong ? performance.now() - start : null;
	}
	async #dial(listener, attempt) {
		const { getToken } = this.#options;
		if (attempt.freshToken && !getToken) throw new FanfareError(4001, "the token was refused", true);
		if (getToken && (attempt.freshToken || this.#token === null)) this.#token = await getToken();
		const Socket = this.#options.WebSocket ?? globalThis.WebSocket;
		if (Socket && this.#transport(attempt) === "websocket") {
			const protocols = this.#token ? ["fanfare.v1", `bearer.${this.#token}`] : ["fanfare.v1"];
			return openSocket(Socket, `${this.url}/v1/connect`.replace(/^http/, "ws"), listener, protocols);
		}
		if (this.#feeds.size === 0) throw new Error("server-sent events need a channel");
		const headers = {};
		if (this.#token) headers.authorization = `Bearer ${this.#token}`;
		this.#streamed = new Set(this.#feeds.keys());
		for (const feed of this.#feeds.values()) feed.streamed();
		const resumes = [...this.#feeds.values()].some((feed) => feed.resumesAt !== null);
		const channels = [...this.#feeds.values()].flatMap((feed) => [`channel=${encodeURIComponent(feed.channel)}`, ...resumes ? [`since=${encodeURIComponent(feed.resumesAt ?? "")}`] : []]);
		const url = `${this.url}/v1/events?${channels.join("&")}`;
		return openEvents(this.#fetch, url, headers, listener, () => {});
	}
	/** Every third attempt is SSE as long as no WebSocket ever opened. */
	#transport({ failures }) {
		const { transport = "auto" } = this.#options;
		if (transport !== "auto") return transport;
		return this.#everOpened || failures % 3 < 2 || this.#feeds.size === 0 ? "websocket" : "sse";
	}
	get #fetch() {
		return this.#options.fetch ?? globalThis.fetch.bind(globalThis);
	}
	#frame(frame, wire) {
		if (frame.type === "welcome") return this.#welcome(frame, wire);
		const feed = "channel" in frame && frame.channel ? this.#feeds.get(frame.channel) : void 0;
		switch (frame.type) {
			case "event": return feed?.event(frame);
			case "gap": return feed?.gap(frame);
			case "state": return feed?.whole(frame);
			case "subscribed":
				if (wire !== this.#link.wire) return;
				feed?.subscribed(frame);
				if ([...this.#feeds.values()].every((one) => one.active)) this.#link.handedOver();
				return;
			case "presence": return this.#feeds.get("presence")?.presence(frame);
			case "pong": return this.#pongs.shift()?.(true);
			case "status":
				this.degraded = frame;
				return this.emit("status", frame);
			case "error":
				if (feed) return feed.failed(frame);
				return this.emit("error", new FanfareError(frame.code, frame.message, false, frame.details));
			case "bye":
				if (frame.reconnect && wire === this.#link.wire) this.#link.move(frame.after_ms, frame.reason);
				return;
		}
	}
	#welcome(frame, wire) {
		this.connection = {
			id: frame.connection,
			user: frame.user,
			version: frame.version,
			transport: wire.kind
		};
		for (const feed of this.#feeds.values()) feed.active = false;
		this.#link.ready(wire);
		const degraded = frame.degraded ?? null;
		if (degraded) this.emit("status", this.degraded = {
			type: "status",
			degraded: true,
			reason: degraded
		});
		else if (this.degraded.degraded) this.emit("status", this.degraded = {
			type: "status",
			degraded: false
		});
		this.#link.beat(frame.ping_ms);
		this.#pace.begin(frame.limits?.frames_per_second);
		for (const feed of this.#feeds.values()) this.#request(feed);
		if (this.#presence && wire.kind === "websocket") this.#pace.send({
			type: "presence",
			status: this.#presence
		});
		clearInterval(this.#unconfirmed);
		this.#unconfirmed = setInterval(() => this.#askAgain(), UNCONFIRMED_MS / 2);
		if (this.#feeds.size === 0) this.#link.handedOver();
		this.#scheduleRefresh();
		this.emit("connected", this.connection);
	}
	/** SSE has its channels in the address, so that a new one needs a new stream. */
	#request(feed) {
		if (this.state !== "connected") return;
		if (this.connection?.transport === "websocket") this.#ask(feed);
		else if (!this.#streamed.has(feed.channel)) this.#link.replace(0, "another channel");
	}
	#ask(feed) {
		feed.askedAt = Date.now();
		this.#pace.send(feed.request());
	}
	/** Asks again for what was neither confirmed nor refused, unless the server said that it waits itself. */
	#askAgain() {
		if (this.connection?.transport !== "websocket" || this.degraded.degraded) return;
		for (const feed of this.#feeds.values()) if (!feed.active && feed.askedAt !== null && Date.now() - feed.askedAt >= UNCONFIRMED_MS) this.#ask(feed);
	}
	#leave(reader) {
		const feed = this.#feeds.get(reader.channel);
		if (!feed?.readers.delete(reader) || feed.readers.size > 0) return;
		this.#feeds.delete(reader.channel);
		if (this.state === "connected") this.#pace.send({
			type: "unsubscribe",
			channel: reader.channel
		});
	}
	/** Asks for the next token shortly before this one ends, so that the connection need not end with it. */
	#scheduleRefresh() {
		clearTimeout(this.#refresh);
		const { getToken } = this.#options;
		const end = getToken && expiry(this.#token);
		if (!end || this.state !== "connected") return;
		const wait = Math.max(1e3, end - Date.now() - EXPIRY_MARGIN_MS);
		if (wait > TIMER_MAX_MS) return;
		this.#refresh = setTimeout(async () => {
			try {
				this.setToken(await getToken());
			} catch (error) {
				this.emit("error", new FanfareError(4001, `no new token: ${String(error)}`));
			}
		}, wait);
	}
	async #http(path, init = {}) {
		if (this.#token === null && this.#options.getToken) this.#token = await this.#options.getToken();
		const headers = new Headers(init.headers);
		if (this.#token) headers.set("authorization", `Bearer ${this.#token}`);
		const response = await this.#fetch(this.url + path, {
			...init,
			headers
		});
		const body = await response.json().catch(() => ({}));
		if (response.ok) return body;
		const message = String(body.detail ?? body.title ?? body.error ?? response.statusText);
		throw new FanfareError(response.status, message, false, body);
	}
};
/** The end of a JWT, ms since 1970; null when the token is none or has none. */
function expiry(token) {
	try {
		const claims = (token ?? "").split(".")[1] ?? "";
		const { exp } = JSON.parse(atob(claims.replace(/-/g, "+").replace(/_/g, "/")));
		return exp ? exp * 1e3 : null;
	} catch {
		return null;
	}
}
//#endregion
export { Fanfare, FanfareError, LOG_LINES_MAX, Subscription, covers, distance, fold, foldEntity, logLines, meaning, verdict };
