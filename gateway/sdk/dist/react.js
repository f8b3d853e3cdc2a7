import { n as distance, o as logLines } from "./position-5sfRngvh.js";
import { createContext, createElement, useContext, useEffect, useRef, useState, useSyncExternalStore } from "react";
//#region src/react.ts
/** React hooks. Wrap the tree in `FanfareProvider`, or give each hook its `client`. */
const Context = createContext(null);
/** Gives the hooks below it their client. The one who made the client closes it. */
const FanfareProvider = ({ client, children }) => createElement(Context.Provider, { value: client }, children);
/** The client of the nearest provider. */
function useFanfare(own) {
	const client = useContext(Context);
	const found = own ?? client;
	if (!found) throw new Error("no Fanfare client: wrap the tree in <FanfareProvider client={…}>");
	return found;
}
const IDLE = {
	state: null,
	event: null,
	status: "idle",
	error: null
};
/** Listens to a channel while mounted; a null channel listens to nothing. */
function useChannel(channel, options = {}) {
	const client = useFanfare(options.client);
	const { enabled = true, since, tail, mode } = options;
	const [result, setResult] = useState(IDLE);
	const handlers = useRef(options);
	handlers.current = options;
	useEffect(() => {
		if (!enabled || channel === null) return setResult(IDLE);
		setResult({
			...IDLE,
			status: "subscribing"
		});
		const merge = (part) => setResult((before) => ({
			...before,
			...part
		}));
		const subscription = client.subscribe(channel, {
			since,
			tail,
			mode
		});
		subscription.on("subscribed", (subscribed) => {
			merge({
				status: "subscribed",
				state: subscribed.state,
				error: null
			});
			handlers.current.onSubscribed?.(subscribed);
		});
		subscription.on("state", (state) => merge({ state }));
		subscription.on("event", (event) => {
			merge({ event });
			handlers.current.onEvent?.(event);
		});
		subscription.on("gap", (gap) => handlers.current.onGap?.(gap));
		subscription.on("presence", (presence) => handlers.current.onPresence?.(presence));
		subscription.on("error", (error) => merge({ error }));
		return () => subscription.unsubscribe();
	}, [
		client,
		channel,
		enabled,
		since,
		tail,
		mode
	]);
	return result;
}
/** A deployment, folded. */
function useDeployment(id, options) {
	return useChannel(id === null ? null : `deployment:${id}`, options);
}
/** A task, folded. */
function useTask(id, options) {
	return useChannel(id === null ? null : `task:${id}`, options);
}
/** The log lines in an event of a deployment, task or container, if it carries any. */
function linesOf(event) {
	return /^(\w+_)?(log|update)$/.test(event.event) ? logLines(event.data).filter((line) => line !== "") : [];
}
/** The log of `deployment:ID`, `task:ID` or `container:ID`: the last `tail` events and what follows. */
function useLogs(channel, options = {}) {
	const { tail = 100, limit = 1e4 } = options;
	const [rows, setRows] = useState([]);
	const add = (more) => {
		if (more.length > 0) setRows((before) => [...before, ...more].slice(-limit));
	};
	useEffect(() => setRows([]), [channel]);
	const { status, error } = useChannel(channel, {
		...options.client && { client: options.client },
		tail,
		onEvent: (event) => {
			const level = typeof event.data.level === "string" ? { level: event.data.level } : {};
			add(linesOf(event).map((text, at) => ({
				kind: "line",
				key: `${event.position}/${at}`,
				text,
				at: event.at,
				...level
			})));
		},
		onGap: ({ from, to, cause }) => add([{
			kind: "gap",
			key: `gap/${to}`,
			missing: distance(channel ?? "", from, to),
			cause
		}])
	});
	return {
		rows,
		status,
		error
	};
}
/** Who is there, as far as it was heard since mounting; `set` tells others of oneself. */
function usePresence(options = {}) {
	const client = useFanfare(options.client);
	const [users, setUsers] = useState({});
	useChannel("presence", {
		client,
		onPresence: ({ user, status }) => {
			if (user !== null) setUsers((before) => ({
				...before,
				[user]: status
			}));
		}
	});
	return {
		users,
		set: (status) => client.presence(status)
	};
}
/** `disconnected`, `connecting` or `connected`. */
function useConnectionState(options = {}) {
	const client = useFanfare(options.client);
	return useSyncExternalStore((changed) => client.on("state", changed), () => client.state, () => "disconnected");
}
//#endregion
export { FanfareProvider, linesOf, useChannel, useConnectionState, useDeployment, useFanfare, useLogs, usePresence, useTask };
