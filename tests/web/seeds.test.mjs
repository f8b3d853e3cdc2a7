// The browser clients that the seed documents print, and our successors for them, in a real browser.
import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "./browser.mjs";
import { bundle, client, page as html, serve } from "./bundle.mjs";
import { publish, start } from "./fanfare.mjs";

const MOUNT = `
import { createRoot } from "react-dom/client";
const root = document.body.appendChild(document.createElement("div"));
createRoot(root).render(<Dashboard />);
`;

/** A page of the server's own origin that runs this script. */
async function run(t, url, script, body) {
  const files = { "/page.html": html("/page.js", body), "/page.js": script };
  return open(t, `${url}/page.html`, {}, (context) => serve(context, url, files));
}

const agent = (state) => ({ stream: "agents", type: "agent_status", id: "CLOUD_ASSISTANT", data: { state, currentTask: "Analyzing code", progress: 50 } });
const notification = (level, message, id) => ({ stream: "messages", type: "notification", id, data: { level, message } });

/** What the dashboard of seed 002 must show, whichever hook is below it. */
async function dashboard(page, url) {
  await page.getByText("Status: 🟢 Connected").waitFor();
  await page.locator(".alert-info", { hasText: "Connected to Code Cloud Agents WebSocket" }).waitFor();
  await publish(url, [agent("working"), notification("success", "All tests passed!")]);
  await page.getByText("Agent: working").waitFor();
  await page.locator(".alert-success", { hasText: "All tests passed!" }).waitFor();
  await publish(url, notification("error", "Task failed", "user_your-tok"));
  await publish(url, notification("error", "Somebody else's", "user_other"));
  await publish(url, agent("idle"));
  await page.getByText("Agent: idle").waitFor();
  assert.deepEqual(await page.locator(".alert-error").allTextContents(), ["Task failed"]);
}

test("the React hook of seed 002 as its document prints it", async (t) => {
  const server = await start(t);
  const script = await bundle(client("002-hook.tsx", server.url) + client("002-dashboard.tsx") + MOUNT);
  const page = await run(t, server.url, script);
  await dashboard(page, server.url);
  await server.kill();
  await page.getByText("Status: 🔴 Disconnected").waitFor();
  assert.deepEqual(page.complaints, []);
});

test("the same component on our hook, which comes back", async (t) => {
  const server = await start(t);
  const script = await bundle(`import { useWebSocket } from "fanfare/compat/cloud-agents/react";\n${client("002-dashboard.tsx")}${MOUNT}`);
  const page = await run(t, server.url, script);
  await dashboard(page, server.url);
  await server.kill();
  await page.getByText("Status: 🔴 Disconnected").waitFor();
  const again = await start(t, { port: server.port, home: server.home });
  await page.getByText("Status: 🟢 Connected").waitFor();
  await publish(again.url, agent("stopped"));
  await page.getByText("Agent: stopped").waitFor();
  assert.deepEqual(page.complaints, []);
});

for (const [whose, head] of [
  ["as its document prints it", (url) => client("002-browser.js", url)],
  ["on our class", () => 'import { CloudAgentsWebSocket } from "fanfare/compat/cloud-agents";\nconst client = new CloudAgentsWebSocket("your-token-here");\n'],
]) {
  test(`the browser page of seed 002 ${whose}`, async (t) => {
    const { url } = await start(t);
    const toast = "const showToast = (level, message) => (document.getElementById('toast').innerText = `${level}: ${message}`);\n";
    const script = await bundle(head(url) + toast + client("002-handlers.js") + "\nglobalThis.client = client;");
    const page = await run(t, url, script, '<p id="agent-status"></p><p id="toast"></p>');
    await page.locator("#toast", { hasText: "info: Connected to Code Cloud Agents WebSocket" }).waitFor();
    await publish(url, [agent("working"), notification("warning", "Low disk")]);
    await page.locator("#agent-status", { hasText: "working" }).waitFor();
    await page.locator("#toast", { hasText: "warning: Low disk" }).waitFor();
    const heard = page.evaluate(() => new Promise((done) => (client.onUserPresence = done)));
    await page.evaluate(() => client.setPresence("busy"));
    assert.deepEqual(await heard, { userId: "user_your-tok", status: "busy" });
    assert.deepEqual(page.complaints, []);
  });
}

/** The page of seed 003: its snippet at the end of a page, and the script that the snippet loads. */
async function zerostate(t, url, script) {
  const body = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Dashboard</title></head><body>\n${client("003-page.html")}`;
  const files = { "/dashboard.html": body, "/static/js/websocket.js": script };
  const said = [];
  const page = await open(t, `${url}/dashboard.html`, {}, async (context) => {
    await serve(context, url, files);
    context.on("console", (message) => said.push(message.text()));
  });
  const says = async (part) => {
    for (let n = 0; n < 400 && !said.some((line) => line.includes(part)); n++) await page.waitForTimeout(50);
    assert.ok(
      said.some((line) => line.includes(part)),
      `never said "${part}", but:\n${said.join("\n")}`,
    );
  };
  return { page, says };
}

/** What the page must show and hear, whichever client is below it. */
async function dashboardOf003(t, server, { page, says }) {
  const { url } = server;
  const badge = (text) => page.locator("#ws-status-text", { hasText: new RegExp(`^${text}`) }).waitFor();
  await badge("Connected");
  assert.equal(await page.locator("#ws-status").evaluate((badge) => badge.style.opacity), "1");
  await publish(url, { stream: "tasks", type: "task_update", id: "uuid", data: { status: "running", progress: 40 } });
  await publish(url, { stream: "agents", type: "agent_update", id: "a1", data: { name: "Agent Name", action: "registered" } });
  await says("Task update");
  await says("Agent update");
  const { token } = await (await fetch(`${url}/console/session`)).json();
  const broadcast = async (body) => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const answer = await fetch(`${url}/api/v1/ws/broadcast`, { method: "POST", headers, body: JSON.stringify(body) });
    assert.equal(answer.status, 200);
  };
  await broadcast({ type: "system", data: { message: "Server maintenance in 5 minutes", level: "warning" } });
  await says("System message");
  await broadcast({ type: "custom_event", data: { anything: 1 } });
  await says("Custom event received");
  const { stats } = await (await fetch(`${url}/api/v1/ws/stats`)).json();
  assert.equal(stats.current_connections, 1);
  await server.kill();
  await badge("(Disconnected|Connecting)");
  await start(t, { port: server.port, home: server.home });
  await badge("Connected");
  assert.deepEqual(page.complaints, []);
}

test("the page snippet of seed 003 with the client that its guide describes", async (t) => {
  const server = await start(t);
  const house = await zerostate(t, server.url, client("003-websocket.js"));
  await house.says("🚀 WebSocket client initialized");
  await dashboardOf003(t, server, house);
  await house.says("🔄 Reconnecting... (attempt 1/5)");
});

test("the page snippet of seed 003 with our client and badge", async (t) => {
  const server = await start(t);
  const script = await bundle(`
    import { statusBadge, ZeroStateWebSocket } from "fanfare/compat/zerostate";
    const client = new ZeroStateWebSocket();
    statusBadge(client);
    client.handleTaskUpdate = (data) => console.log("Task update:", data.status);
    client.handleAgentUpdate = (data) => console.log("Agent update:", data.name);
    client.handleSystemMessage = (data) => console.log("System message:", data.message);
    client.handleCustomEvent = (message) => console.log("Custom event received:", message.type);
  `);
  await dashboardOf003(t, server, await zerostate(t, server.url, script));
});
