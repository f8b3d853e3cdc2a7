//#region src/fold.ts
/** The most log lines that a state keeps, and the most bytes of them. */
const LOG_LINES_MAX = 100;
const LOG_BYTES_MAX = 131072;
const isText = (value) => typeof value === "string";
const text = (value) => isText(value) ? value : JSON.stringify(value);
/** What no Unicode string can hold, or no database, reads U+FFFD. */
function sound(value) {
	if (isText(value)) return value.replace(/[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff\0]/g, (c) => c.length > 1 ? c : "�");
	if (Array.isArray(value)) return value.map(sound);
	if (value === null || typeof value !== "object") return value;
	return Object.fromEntries(Object.entries(value).map(([key, member]) => [sound(key), sound(member)]));
}
/** The lines of a log event: `{lines:[…]}` or `{message}`. */
function logLines(data) {
	if (Array.isArray(data.lines)) return data.lines.map(text);
	return data.message === void 0 ? [] : [text(data.message)];
}
const encoder = /* @__PURE__ */ new TextEncoder();
const bytes = (line) => isText(line) ? encoder.encode(line).length : 64;
/** The log tail of a state, whatever stands there. */
function kept(logs) {
	if (Array.isArray(logs)) return logs;
	if (!isText(logs)) return [];
	const lines = logs.split(/\r?\n/);
	if (lines.at(-1) === "") lines.pop();
	return lines;
}
/** Lines behind a log tail, within its bounds; the oldest go first. */
function tail(logs, lines) {
	const all = [...kept(logs), ...lines].slice(-100);
	let size = all.reduce((sum, line) => sum + bytes(line), 0);
	while (size > 131072 && all.length > 1) size -= bytes(all.shift());
	const [only] = all;
	if (size > 131072 && isText(only)) all[0] = new TextDecoder().decode(encoder.encode(only).slice(0, LOG_BYTES_MAX), { stream: true });
	return all;
}
const seconds = (ms) => Math.trunc(ms / 1e3);
/** 1970 for what is no time before the year 9999. */
const iso = (ms) => new Date(ms >= 0 && ms <= 0xe6707a6eafff ? ms : 0).toISOString();
/** Members of `data` that are there. */
function some(data, ...keys) {
	return Object.fromEntries(keys.filter((key) => data[key] !== void 0).map((key) => [key, data[key]]));
}
const deployment = (id, before, event, data, recorded) => {
	const state = before ?? {
		id,
		projectId: id,
		status: "pending",
		progress: 0,
		stage: "Initializing",
		timestamp: recorded,
		logs: []
	};
	const stamp = (line) => `[${iso(recorded)}] ${line}`;
	const timestamp = Math.max(Number.isInteger(state.timestamp) ? state.timestamp : 0, recorded);
	if (event.event === "deployment_log") return {
		...state,
		logs: tail(state.logs, logLines(data).map(stamp)),
		timestamp
	};
	const { message, logs } = data;
	const lines = isText(message) && message !== "" ? [stamp(message)] : [];
	return {
		...state,
		...data,
		logs: tail(Array.isArray(logs) ? logs : state.logs, lines),
		timestamp
	};
};
const task = (id, before, event, data, recorded) => {
	const state = {
		...before ?? {
			id,
			status: "pending"
		},
		updated_at: seconds(recorded)
	};
	const to = (status, ...keys) => Object.assign(state, { status }, some(data, ...keys));
	switch (event.event) {
		case "task_log": return {
			...state,
			logs: tail(state.logs, logLines(data))
		};
		case "task_progress":
			Object.assign(state, some(data, "progress", "message"));
			return state.status === "pending" || state.status === "assigned" ? to("running") : state;
		case "task_assigned": return to("assigned", "attempt", "agent");
		case "task_accepted": return to("running", "attempt", "agent");
		case "task_released": return {
			...to("pending", "attempt"),
			agent: null
		};
		case "task_cancelled": return to("cancelled", "attempt", "reason");
		case "task_expired": return to("expired");
		case "task_retried": return {
			...to("pending"),
			agent: null,
			result: null,
			reason: null
		};
	}
	const { id: _, created_at, updated_at, ...rest } = data;
	Object.assign(state, rest);
	if (event.event === "task_created") state.created_at ??= seconds(recorded);
	if (event.event === "task_result") {
		state.result ??= null;
		if (!isText(data.status)) state.status = data.error == null ? "completed" : "failed";
	}
	return state;
};
const agent = (id, before, _, data, recorded) => ({
	agentName: id,
	...before,
	...data,
	agentId: id,
	updated_at: recorded
});
/** A number other than 0, or the decimal digits of one. */
const failed = (code) => typeof code === "number" ? code !== 0 : isText(code) && /^-?\d*[1-9]\d*$/.test(code);
const container = (id, before, event, data, recorded) => {
	const state = {
		...before ?? {
			id,
			status: "starting",
			lines: 0
		},
		updated_at: recorded
	};
	switch (event.event) {
		case "log": return {
			...state,
			lines: (Number.isInteger(state.lines) ? state.lines : 0) + 1
		};
		case "status": return {
			...state,
			...some(data, "status", "message")
		};
		case "error": return {
			...state,
			...some(data, "error", "code")
		};
		default: return {
			...state,
			...some(data, "exitCode", "message", "duration"),
			status: failed(data.exitCode) ? "failed" : "completed"
		};
	}
};
const repo = (id, before, _, { repos }, recorded) => {
	const given = Array.isArray(repos) ? repos.findLast((one) => one?.id === id) : null;
	if (!given) return before;
	const take = (key) => given[key] ?? null;
	const count = (key) => Number.isInteger(given[key]) && given[key] >= 0 ? given[key] : 0;
	return {
		...before ?? {
			id,
			path: take("path"),
			name: take("name")
		},
		branch: take("branch"),
		status: take("status"),
		uncommitted_count: count("uncommittedCount"),
		ahead_count: count("aheadCount"),
		behind_count: count("behindCount"),
		last_checked: seconds(recorded),
		modifiedFiles: take("modifiedFiles")
	};
};
const alert = (id, before, event, data, recorded) => {
	if (event.event === "alert_acknowledged") return before && {
		...before,
		acknowledged: 1
	};
	const take = (key) => data[key] ?? null;
	return {
		created_at: seconds(recorded),
		acknowledged: 0,
		...before,
		id,
		severity: take("severity"),
		title: take("title"),
		message: take("message"),
		source: take("source")
	};
};
const FOLDS = {
	deployment,
	task,
	agent,
	container,
	repo,
	alert
};
/** Which kind of entity an event of each type changes. */
const CHANGES = {
	deployment_update: "deployment",
	deployment_log: "deployment",
	agent_status: "agent",
	agent_update: "agent",
	log: "container",
	status: "container",
	error: "container",
	complete: "container",
	git_status: "repo",
	alert: "alert",
	alert_acknowledged: "alert"
};
for (const step of [
	"created",
	"update",
	"log",
	"result",
	"progress",
	"assigned",
	"accepted",
	"released",
	"cancelled",
	"expired",
	"retried"
]) CHANGES[`task_${step}`] = "task";
/**
* The state of one entity after `event`. `state` is null before its first event; an event that says
* nothing about an entity of this kind answers with the state that it was given.
*/
function foldEntity(kind, id, state, event) {
	if (CHANGES[event.event] !== kind || event.free) return state;
	return FOLDS[kind](id, state, event, sound(event.data), event.recorded ?? event.at);
}
/** The state of the entity that `event` is about; for a feed, whose events name their entities. */
function fold(state, event) {
	const kind = CHANGES[event.event];
	if (!kind || kind === "repo" || event.id === null) return state;
	return foldEntity(kind, event.id, state, event);
}
//#endregion
//#region src/position.ts
/** The source that a bare number counts, by the kind of channel. */
const HOMES = {
	deployment: "d",
	task: "t",
	agent: "a",
	repo: "a",
	alert: "a",
	container: "c"
};
function offsets(channel, position) {
	const dash = position.indexOf("-");
	const home = HOMES[channel.replace(/s?(:.*)?$/, "")] ?? "m";
	const parts = position.slice(dash + 1).split(",");
	return [position.slice(0, dash), new Map(parts.map((part) => {
		const [source, offset] = part.includes(".") ? part.split(".") : [home, part];
		return [source, Number(offset)];
	}))];
}
/** Whether whoever saw `seen` saw `position` of the same channel too. */
function covers(channel, seen, position) {
	if (seen === null) return false;
	if (seen === position) return true;
	const [epoch, had] = offsets(channel, seen);
	const [other, wanted] = offsets(channel, position);
	return epoch === other && [...wanted].every(([source, offset]) => (had.get(source) ?? 0) >= offset);
}
/**
* How many publications a gap swallowed, `from` and `to` included; null when the two cannot be
* compared, as after a change of epoch.
*/
function distance(channel, from, to) {
	const [epoch, first] = offsets(channel, from);
	const [other, last] = offsets(channel, to);
	if (epoch !== other || first.size > 1 || last.size > 1) return null;
	const [a, b] = [...first, ...last];
	return a && b && a[0] === b[0] && b[1] >= a[1] ? b[1] - a[1] + 1 : null;
}
//#endregion
export { foldEntity as a, fold as i, distance as n, logLines as o, LOG_LINES_MAX as r, covers as t };
