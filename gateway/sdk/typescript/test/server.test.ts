// The client against a real server of its own (FANFARE_BIN, else the debug build beside us).
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { WebSocket } from "ws";
import { Fanfare } from "../src/index.ts";
import { List } from "../src/list.ts";
import { Logs } from "../src/logs.ts";
import { startServer, type TestServer } from "../src/testing.ts";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const built = here("../../../../target/debug/fanfare");
const executable = process.env.FANFARE_BIN ?? (existsSync(built) ? built : "fanfare");
const until = vi.waitUntil;
let server: TestServer;
let client: Fanfare;

beforeAll(async () => {
  server = await startServer({ executable });
  const token = server.token("ann", "--channels", "*", "--publish", "*");
  client = new Fanfare(server.url, { token, WebSocket: WebSocket as never, minReconnectDelay: 20, maxReconnectDelay: 200 });
}, 60_000);

afterAll(async () => {
  client.close();
  await server.close();
});

const update = (id: string, status: "building" | "success") => client.publish({ stream: "deployments", type: "deployment_update", id, data: { status } });

it("keeps a list up with what happens, within its filter, and with true totals", async () => {
  await update("d1", "building");
  await update("d2", "success");
  const all = new List(client, "deployments");
  const running = new List(client, "deployments", { status: "building" });
  await until(() => all.state.total === 2 && running.state.total === 1, 10_000);
  await update("d3", "building");
  await until(() => all.state.total === 3 && running.state.rows.length === 2, 10_000);
  await update("d1", "success");
  await until(() => running.state.total === 1 && all.state.byStatus.success === 2, 10_000);
  expect(running.state.rows.map(({ id }) => id)).toEqual(["d3"]);
  all.close();
  running.close();
}, 40_000);

it("shows the newest lines of a log, what follows, and what came before where it is asked for", async () => {
  const log = (lines: string[]) => client.publish({ stream: "deployments", type: "deployment_log", id: "l1", data: { lines } });
  for (let n = 1; n <= 6; n++) await log([`${n}a`, `${n}b`]);
  const logs = new Logs(client, "deployment:l1", { tail: 2 });
  const texts = () => logs.rows.map((row) => (row.kind === "line" ? row.text : row.cause));
  await until(() => logs.rows.length === 4, 10_000);
  expect(texts()).toEqual(["5a", "5b", "6a", "6b"]);
  await log(["7a"]);
  await until(() => logs.rows.length === 5, 10_000);
  await logs.loadEarlier(2);
  await logs.loadEarlier(100);
  expect(texts()).toEqual(["1a", "1b", "2a", "2b", "3a", "3b", "4a", "4b", "5a", "5b", "6a", "6b", "7a"]);
  expect(logs.hasEarlier).toBe(false);
  logs.close();
}, 40_000);

it("runs the first program of the README as it stands", async () => {
  const [, program = ""] = /```js\n(.*?)```/s.exec(readFileSync(here("../README.md"), "utf8")) ?? [];
  const folder = mkdtempSync(join(tmpdir(), "fanfare-readme-"));
  // As if it were installed: the package as it was built.
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(here(".."), join(folder, "node_modules/fanfare"));
  writeFileSync(join(folder, "first.mjs"), program);
  // Node 20 has no WebSocket: it goes by server-sent events there, as the README says.
  const { stdout } = await promisify(execFile)(process.execPath, ["first.mjs"], { cwd: folder, env: { FANFARE_URL: server.url }, timeout: 30_000 });
  expect(stdout).toMatch(/^deployment_update .* success/s);
  rmSync(folder, { recursive: true });
}, 40_000);
