// @vitest-environment happy-dom

import type { AddressInfo } from "node:net";
import { afterEach, expect, it, vi } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { CloudAgentsWebSocket } from "../src/compat/cloud-agents.ts";
import { statusBadge, ZeroStateWebSocket } from "../src/compat/zerostate.ts";

const until = vi.waitUntil;
const ends: (() => void)[] = [];

afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** A socket server that remembers addresses and frames. */
async function server(): Promise<{ url: string; paths: string[]; heard: unknown[]; say(frame: object): void; cut(): void }> {
  const wss = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await new Promise((resolve) => wss.on("listening", resolve));
  const paths: string[] = [];
  const heard: unknown[] = [];
  wss.on("connection", (socket, request) => {
    paths.push(String(request.url));
    socket.on("message", (data) => heard.push(JSON.parse(String(data))));
  });
  ends.push(() => wss.close());
  return {
    url: `http://127.0.0.1:${(wss.address() as AddressInfo).port}`,
    paths,
    heard,
    say: (frame) => wss.clients.forEach((socket) => socket.send(JSON.stringify(frame))),
    cut: () => wss.clients.forEach((socket) => socket.terminate()),
  };
}

const fast = { WebSocket: WebSocket as never, minReconnectDelay: 5, maxReconnectDelay: 20 };

it("the cloud agents' class calls the handlers that an app overrides, and comes back", async () => {
  const { url, paths, heard, say, cut } = await server();
  const client = new CloudAgentsWebSocket("test 123", { url, ...fast });
  ends.push(() => client.close());
  const seen: unknown[] = [];
  client.onAgentStatus = (data) => void seen.push(data.state);
  client.onNotification = (data) => void seen.push(data.message);
  await until(() => client.isConnected);
  say({ type: "agent_status", data: { agentName: "A", state: "working" } });
  say({ type: "notification", data: { level: "info", message: "hello" } });
  say({ type: "ping" });
  client.setPresence("busy");
  await until(() => seen.length === 2 && heard.length === 2);
  expect(heard).toContainEqual({ type: "pong" });
  expect(heard).toContainEqual({ type: "user_presence", data: "busy" });
  cut();
  await until(() => paths.length === 2 && client.isConnected);
  expect(paths[1]).toBe("/ws?token=test%20123");
});

it("the badge tells the truth about the connection", async () => {
  const { url, paths, say, cut } = await server();
  const client = new ZeroStateWebSocket({ url, ...fast });
  ends.push(() => client.close());
  const seen: string[] = [];
  client.handleTaskUpdate = (data) => void seen.push(data.status);
  client.handleCustomEvent = (message) => void seen.push(message.type);
  statusBadge(client);
  const text = document.getElementById("ws-status-text");
  expect(text?.textContent).toBe("Connecting…");
  await until(() => text?.textContent === "Connected");
  say({ type: "task_update", data: { task_id: "t", status: "running" } });
  say({ type: "invented", data: {} });
  await until(() => seen.length === 2);
  expect(seen).toEqual(["running", "invented"]);
  cut();
  await until(() => paths.length === 2 && text?.textContent === "Connected");
  client.close();
  expect(text?.textContent).toBe("Disconnected");
});
