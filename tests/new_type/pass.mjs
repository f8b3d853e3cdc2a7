// One `build_artifact` by a bare XADD, seen by a socket, in the archive, in the state, and by the SDK's own fold.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const { Fanfare } = await import(pathToFileURL(process.argv[2]));

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

async function until(what, ready) {
  for (let tries = 0; tries < 600; tries++) {
    if (await ready()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`never: ${what}`);
}

const home = mkdtempSync(join(tmpdir(), "new-type-"));
const [redisPort, port] = [await freePort(), await freePort()];
const url = `http://127.0.0.1:${port}`;
const children = [];
const start = (command, args, env = {}) => {
  const child = spawn(command, args, { cwd: home, env: { PATH: process.env.PATH, HOME: home, ...env }, stdio: "ignore" });
  children.push(child);
};
try {
  start("redis-server", ["--port", redisPort, "--save", "", "--appendonly", "no"]);
  const redis = (...args) => execFileSync("redis-cli", ["-p", redisPort, ...args], { stdio: "pipe" }).toString();
  await until("Redis answers", () => { try { return redis("PING").includes("PONG"); } catch { return false; } });
  start(process.env.FANFARE_BIN, [], { HOST: "127.0.0.1", PORT: String(port), REDIS_URL: `redis://127.0.0.1:${redisPort}` });
  await until("Fanfare is ready", () => fetch(`${url}/readyz`).then(({ ok }) => ok, () => false));

  const client = new Fanfare(url);
  const channel = client.subscribe("deployment:d1");
  const seen = [];
  channel.on("event", (event) => seen.push(event));
  await until("subscribed", () => channel.active);
  redis("XADD", "fanfare:deployments", "*", "type", "build_artifact", "id", "d1", "data", '{"name":"app.tar"}');
  await until("the event comes", () => seen.length === 1);
  assert.equal(seen[0].event, "build_artifact");
  assert.deepEqual(channel.state.artifacts, [{ name: "app.tar" }]);
  const { state } = await (await fetch(`${url}/v1/channels/deployment:d1`)).json();
  assert.deepEqual(channel.state, state, "the client and the record fold alike");
  const { events } = await (await fetch(`${url}/v1/channels/deployments/events`)).json();
  assert.deepEqual(events.map(({ event }) => event), ["build_artifact"]);
  redis("XADD", "fanfare:deployments", "*", "type", "build_artifact", "id", "d1", "data", "{}");
  await until("one without a name is dead", async () => {
    const { dead } = await (await fetch(`${url}/v1/dead`)).json();
    return dead.length === 1 && dead[0].reason.startsWith("data.name");
  });
  const schema = await (await fetch(`${url}/schemas/deployments/build_artifact.json`)).json();
  assert.deepEqual(schema.required, ["name"]);
  client.close();
} finally {
  for (const child of children) child.kill("SIGKILL");
  rmSync(home, { recursive: true, force: true });
}
