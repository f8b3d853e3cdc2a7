// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { WebSocket } from "ws";
import { Fanfare } from "../src/index.ts";
import { Gateway } from "./gateway.ts";

const until = vi.waitUntil;
let node: Gateway;
let client: Fanfare;

/** A client that waits an hour for its next attempt, and the server is there again. */
beforeEach(async () => {
  node = await new Gateway().listen();
  const hour = 3_600_000;
  client = new Fanfare(node.url, { WebSocket: WebSocket as never, minReconnectDelay: hour, maxReconnectDelay: 2 * hour }).connect();
  await until(() => client.state === "connected");
  const waiting = new Promise((resolve) => client.once("reconnecting", resolve));
  const { port } = node;
  await node.stop();
  await waiting;
  node = await new Gateway().listen(port);
});

afterEach(async () => {
  client.close();
  await node.stop();
});

it("tries at once when the network is back", async () => {
  window.dispatchEvent(new Event("online"));
  await until(() => client.state === "connected");
});

it("tries at once when somebody looks at the page again", async () => {
  document.dispatchEvent(new Event("visibilitychange"));
  await until(() => client.state === "connected");
});

it("asks an open connection whether it still lives", async () => {
  client.disconnect();
  client.connect();
  await until(() => client.state === "connected");
  window.dispatchEvent(new Event("online"));
  await until(() => node.heard.some(({ type }) => type === "ping"));
  expect(node.welcomed).toBe(1);
});
