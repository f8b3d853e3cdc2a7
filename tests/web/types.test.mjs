// The client's types and its fold against what a real server says.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Ajv2020 } from "ajv/dist/2020.js";
import ts from "typescript";
import { WebSocket } from "ws";
import { parse } from "yaml";
import { bundle } from "./bundle.mjs";
import { command, folder, publish, start, startRedis, until } from "./fanfare.mjs";

const SDK = fileURLToPath(new URL("../../gateway/sdk/typescript/src/index.ts", import.meta.url));
const ASYNCAPI = parse(readFileSync(new URL("../../gateway/src/api/asyncapi.yaml", import.meta.url), "utf8"));
const TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

const EVENTS = [
  {
    stream: "deployments",
    type: "deployment_update",
    id: "d1",
    data: { status: "building", progress: 40, stage: "Build", message: "compiling", deploymentUrl: "https://x.example" },
  },
  { stream: "deployments", type: "deployment_log", id: "d1", data: { lines: ["one", "two"] } },
  { stream: "tasks", type: "task_created", id: "t1", data: { title: "Review", executor: "codex" } },
  { stream: "tasks", type: "task_update", id: "t1", data: { status: "running", progress: 10 } },
  { stream: "tasks", type: "task_log", id: "t1", data: { message: "line" } },
  { stream: "tasks", type: "task_result", id: "t1", data: { status: "completed", result: { files: 3 } } },
  { stream: "agents", type: "agent_status", id: "a1", data: { status: "busy", state: "working", currentTask: "t1", progress: 30 } },
  {
    stream: "agents",
    type: "git_status",
    id: "a1",
    data: { repos: [{ id: "r1", path: "/r", name: "r", branch: "main", status: "dirty", uncommittedCount: 1, modifiedFiles: ["a"] }] },
  },
  { stream: "agents", type: "alert", id: "w1", data: { severity: "warning", title: "Disk", source: "runner" } },
  { stream: "containers", type: "status", id: "c1", data: { status: "running", message: "go" } },
  { stream: "containers", type: "log", id: "c1", data: { level: "info", message: "hello" } },
  { stream: "containers", type: "complete", id: "c1", data: { exitCode: 0, message: "done", duration: 12 } },
  { stream: "messages", type: "chat_message", id: "room", data: { content: "hi" } },
];

/** Which type of the client each channel's events and state must have. */
const CHANNELS = {
  "deployment:d1": "DeploymentState",
  "task:t1": "TaskState",
  "agent:a1": "AgentState",
  "container:c1": "ContainerState",
  repos: "",
  alerts: "",
  "conversation:room": "",
};

/** A socket of our own protocol that keeps every frame. */
async function listener(url) {
  const { token } = await (await fetch(`${url}/console/session`)).json();
  const socket = new WebSocket(`${url.replace("http", "ws")}/v1/connect?token=${token}`);
  const frames = [];
  socket.on("message", (data) => frames.push(JSON.parse(String(data))));
  socket.on("error", () => {});
  const heard = (what, test) => until(() => frames.find(test), what);
  await heard("welcome", ({ type }) => type === "welcome");
  return { frames, heard, token, say: (frame) => socket.send(JSON.stringify(frame)) };
}

/** Makes a server say every kind of frame there is. */
async function everything(t) {
  const redis = await startRedis(t);
  if (!redis) return null;
  const server = await start(t, { env: { REDIS_URL: redis.url } });
  await publish(server.url, EVENTS);
  const { frames, heard, token, say } = await listener(server.url);
  const kind = (type) => heard(type, (frame) => frame.type === type);
  for (const channel of Object.keys(CHANNELS)) say({ type: "subscribe", channel, tail: 10 });
  for (const channel of ["presence", "deployments"]) say({ type: "subscribe", channel });
  await heard("the last subscription", ({ type, channel }) => type === "subscribed" && channel === "deployments");
  for (const frame of [{ type: "ping" }, { type: "token", token }, { type: "presence", status: "busy" }, { type: "nonsense" }]) say(frame);
  for (const type of ["pong", "token", "presence", "error"]) await kind(type);
  say({ type: "subscribe", channel: "no such channel" });
  await heard("a refusal", ({ type, channel }) => type === "error" && channel);
  await publish(server.url, { stream: "deployments", type: "deployment_update", id: "d1", data: { progress: 50 }, traceparent: TRACE });
  const { position } = await heard("an event with a trace", ({ traceparent }) => traceparent);
  say({ type: "unsubscribe", channel: "deployment:d1" });
  await kind("unsubscribed");
  say({ type: "subscribe", channel: "deployment:d1", since: position.replace(/\d+$/, "99") });
  for (const type of ["gap", "state"]) await kind(type);
  await redis.stop();
  await kind("status");
  await startRedis(t, redis.port);
  await heard("the end of the outage", ({ type, degraded }) => type === "status" && !degraded);
  await server.drain();
  await kind("bye");
  return frames;
}

/** What the compiler has against this source. */
function complaints(t, source) {
  const file = join(folder(t), "frames.ts");
  writeFileSync(file, source);
  const { ESNext, ES2022 } = { ESNext: ts.ModuleKind.ESNext, ES2022: ts.ScriptTarget.ES2022 };
  const options = {
    strict: true,
    noEmit: true,
    target: ES2022,
    module: ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    allowImportingTsExtensions: true,
    types: [],
    lib: ["lib.es2023.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts", "lib.dom.asynciterable.d.ts"],
  };
  return ts.getPreEmitDiagnostics(ts.createProgram([file], options)).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
}

/** These frames as literals of the client's types: too much, too little and the wrong type are errors. */
function literals(frames) {
  const known = Object.entries(CHANNELS).filter(([, state]) => state);
  const state = (channel) => frames.find((frame) => frame.type === "subscribed" && frame.channel === channel && frame.state)?.state;
  return [
    `import type { ${[...new Set(known.map(([, name]) => name))].join(", ")}, EventOf, ServerFrame } from ${JSON.stringify(SDK)};`,
    "type Known<S> = { [K in keyof S as string extends K ? never : K]: S[K] };",
    ...frames.map((frame, n) => `export const frame${n} = ${JSON.stringify(frame)} satisfies ServerFrame;`),
    ...known.map(([channel, name]) => `export const ${name.toLowerCase()} = ${JSON.stringify(state(channel))} satisfies Known<${name}>;`),
    ...frames.flatMap((frame, n) =>
      frame.type === "event" ? `export const event${n} = ${JSON.stringify(frame)} satisfies EventOf<${JSON.stringify(frame.channel)}>;` : [],
    ),
  ].join("\n");
}

test("every frame and state of a server is what the client's types say, no more and no less", async (t) => {
  const frames = await everything(t);
  if (!frames) return t.skip("there is no redis-server here");
  const kinds = ["welcome", "subscribed", "unsubscribed", "pong", "token", "event", "gap", "state", "presence", "status", "error", "bye"];
  assert.deepEqual([...new Set(frames.map(({ type }) => type))].sort(), kinds.sort());
  assert.deepEqual(complaints(t, literals(frames)), []);
  const ajv = new Ajv2020({ strict: false });
  const { components } = ASYNCAPI;
  const described = new Map([...schemas("hear")].map(([type, schema]) => [type, ajv.compile({ ...schema, components })]));
  for (const frame of frames) assert.ok(described.get(frame.type)(frame), `${JSON.stringify(frame)}: ${JSON.stringify(described.get(frame.type).errors)}`);
  const [welcome] = frames;
  const { version, ...less } = welcome;
  for (const wrong of [{ ...welcome, more: 1 }, less, { ...welcome, ping_ms: version }]) {
    assert.equal(complaints(t, literals([wrong, ...frames.slice(1)])).length, 1, JSON.stringify(wrong));
  }
});

/** The schemas of what a client says (`say`) or hears (`hear`), by type of frame. */
function schemas(operation) {
  const names = ASYNCAPI.operations[operation].messages.map(({ $ref }) => $ref.split("/").at(-1));
  return new Map(names.map((name) => ASYNCAPI.components.messages[name].payload).map((payload) => [payload.properties.type.const, payload]));
}

/** A schema as a type of the client's language. */
function typed(schema) {
  if (schema.$ref) return typed(ASYNCAPI.components.schemas[schema.$ref.split("/").at(-1)]);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const one = (type) => {
    if (type === "array") return `(${typed(schema.items)})[]`;
    if (type !== "object") return type === "integer" ? "number" : type;
    if (!schema.properties) return "Record<string, unknown>";
    const fields = Object.entries(schema.properties).map(([name, field]) => `${name}${schema.required?.includes(name) ? "" : "?"}: ${typed(field)}`);
    return `{ ${fields.join("; ")} }`;
  };
  return [schema.type].flat().map(one).join(" | ");
}

test("the client's types are those of the description of the frames, both ways", (t) => {
  const source = ["say", "hear"].flatMap((operation) => {
    const own = operation === "say" ? "ClientFrame" : "ServerFrame";
    return [...schemas(operation)].flatMap(([type, schema]) => [
      `type ${operation}_${type} = ${typed(schema)};`,
      `export const ${operation}_${type}_described: (frame: ${operation}_${type}) => ${own} = (frame) => frame;`,
      `export const ${operation}_${type}_typed: (frame: Described<Extract<${own}, { type: "${type}" }>>) => Described<${operation}_${type}> = (frame) => frame;`,
      `export const ${operation}_${type}_keys: Same<keyof Extract<${own}, { type: "${type}" }>, keyof ${operation}_${type}> = true;`,
    ]);
  });
  const head = [
    `import type { ClientFrame, ServerFrame } from ${JSON.stringify(SDK)};`,
    "type Same<A, B> = [A, B] extends [B, A] ? true : false;",
    // `buffer` is the client's own: no server says it. `tail` is said where it is true only.
    'type Described<F> = Omit<F, "cause" | "tail">;',
  ];
  assert.deepEqual(complaints(t, [...head, ...source].join("\n")), []);
});

const TIMES = ["timestamp", "created_at", "updated_at"];

/** Without the times, which are those of recording at the server and those of the events here. */
function timeless(state) {
  const rest = Object.fromEntries(Object.entries(state ?? {}).filter(([key]) => !TIMES.includes(key)));
  return rest.logs ? { ...rest, logs: rest.logs.map((line) => line.replace(/^\[[^\]]*\] /, "")) } : rest;
}

test("the client folds what a whole platform says to the states that the server has", async (t) => {
  const { url } = await start(t);
  await command(t, url, "demo", "--rate", "400", "--for", "4s");
  await publish(url, EVENTS);
  const { fold } = await import(`data:text/javascript;base64,${Buffer.from(await bundle('export { fold } from "fanfare";')).toString("base64")}`);
  const { token } = await (await fetch(`${url}/console/session`)).json();
  const get = async (path) => (await fetch(url + path, { headers: { authorization: `Bearer ${token}` } })).json();
  const ids = async (name) => (await get(`/v1/${name}?limit=100`))[name].map(({ id }) => `${name.slice(0, -1)}:${id}`);
  const heard = async (name) => (await get(`/v1/channels/${name}/events?limit=500`)).events;
  const agents = (await heard("agents")).map(({ id }) => `agent:${id}`);
  const channels = new Set([...(await ids("deployments")), ...(await ids("tasks")), ...agents, "container:c1"]);
  assert.ok(channels.size > 50, `${channels.size} entities`);
  for (const channel of channels) {
    const { state } = await get(`/v1/channels/${channel}`);
    const folded = (await heard(channel)).reduce((state, event) => fold(state, event), null);
    assert.deepEqual(timeless(folded), timeless(state), channel);
  }
});
