import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "./browser.mjs";
import { balancer, folder, office, publish, start, startPostgres, startRedis, until } from "./fanfare.mjs";

const id = "run-1";
const update = (data) => ({ stream: "deployments", type: "deployment_update", id, data });
const line = (n) => ({ stream: "deployments", type: "deployment_log", id, event_id: `line-${n}`, data: { lines: [`line ${n}`] } });

/** Two nodes on one Redis and one database, behind one address. */
async function two(t) {
  const redis = await startRedis(t);
  if (!redis) return null;
  const home = folder(t);
  const env = { REDIS_URL: redis.url, DATABASE_URL: (await startPostgres(t)).url, DRAIN_MS: "10000" };
  const nodes = [await start(t, { home, env }), await start(t, { home, env })];
  const { url } = await balancer(
    t,
    nodes.map(({ port }) => port),
  );
  const again = async (index) => (nodes[index] = await start(t, { home, env, port: nodes[index].port }));
  return { url, nodes, again };
}

/** Publishes at whichever node answers; the event's own id makes a repeat harmless. */
const send = (url, event) =>
  until(
    () =>
      publish(url, event).then(
        () => true,
        () => false,
      ),
    "an event is taken",
    30_000,
  );

/** Every line of the log, from top to bottom of what is scrolled through. */
async function logLines(page) {
  return page.evaluate(async () => {
    const box = document.querySelector(".log-rows");
    const seen = new Map();
    for (let top = 0; ; top += box.clientHeight / 2) {
      box.scrollTop = top;
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      for (const row of box.querySelectorAll("li"))
        seen.set(row.querySelector(".number")?.textContent ?? row.textContent, row.querySelector(".text")?.textContent);
      if (top + box.clientHeight >= box.scrollHeight) return [...seen.values()];
    }
  });
}

test("both nodes are killed in turn during a deployment; every line is there once, and it ends on success", async (t) => {
  const house = await two(t);
  if (!house) return t.skip("there is no redis-server here");
  const page = await open(t, `${house.url}/console/deployments/${id}`);
  await page.locator(".own-state", { hasText: "Connected" }).waitFor();
  await send(house.url, update({ status: "building", progress: 0, stage: "Building" }));
  for (let n = 1; n <= 60; n++) {
    await send(house.url, line(n));
    if (n % 20 === 0) await send(house.url, update({ progress: n }));
    if (n === 15) await house.nodes[0].kill();
    if (n === 25) await house.again(0);
    if (n === 35) await house.nodes[1].kill();
  }
  await send(house.url, update({ status: "success", progress: 100, stage: "Complete" }));
  await page.locator(".facts", { hasText: "success" }).waitFor();
  await page.locator(".log-rows", { hasText: "line 60" }).waitFor();
  assert.deepEqual(
    await logLines(page),
    Array.from({ length: 60 }, (_, n) => `line ${n + 1}`),
  );
  assert.deepEqual(page.complaints, []);
});

// The balancer knows nothing of drains, so it may lead the page back to the node that it is leaving.
test("a node that is drained is left for the other one, and the page says so calmly", async (t) => {
  const house = await two(t);
  if (!house) return t.skip("there is no redis-server here");
  const page = await open(t, `${house.url}/console/deployments/${id}`);
  await page.locator(".own-state", { hasText: "Connected" }).waitFor();
  await page.evaluate(() => {
    globalThis.states = [];
    new MutationObserver(() => globalThis.states.push(document.querySelector(".own-state").textContent)).observe(document.querySelector(".own"), {
      subtree: true,
      characterData: true,
      childList: true,
    });
  });
  await house.nodes[0].drain();
  await house.again(0);
  await house.nodes[1].drain();
  await send(house.url, line(1));
  await page.locator(".log-rows", { hasText: "line 1" }).waitFor();
  const states = await page.evaluate(() => globalThis.states);
  assert.ok(!states.includes("Not connected"), `states seen: ${[...new Set(states)].join(", ")}`);
});

test("the client served at /sdk.js follows a deployment in a page", async (t) => {
  const { url } = await start(t);
  const page = await open(t, `${url}/console`);
  const state = await page.evaluate(async () => {
    const { Fanfare } = await import("/sdk.js");
    const { token } = await (await fetch("/console/session")).json();
    const fanfare = new Fanfare(location.origin, { token });
    const deployment = fanfare.subscribe("deployment:d9");
    await new Promise((done) => deployment.once("subscribed", done));
    const changed = new Promise((done) => deployment.once("state", done));
    await fanfare.publish({ stream: "deployments", type: "deployment_update", id: "d9", data: { progress: 77 } });
    const state = await changed;
    fanfare.close();
    return state;
  });
  assert.equal(state.progress, 77);
  assert.deepEqual(page.complaints, []);
});

test("where WebSockets are blocked, a page follows by server-sent events, also past a kill", async (t) => {
  const server = await start(t);
  const { url } = await office(t, server.port);
  await publish(server.url, update({ status: "building", progress: 10, stage: "Building" }));
  const page = await open(t, `${url}/console/deployments/${id}`);
  await page.locator(".own-note", { hasText: "server-sent events" }).waitFor();
  for (let n = 1; n <= 3; n++) await publish(server.url, line(n));
  await page.locator(".log-rows", { hasText: "line 3" }).waitFor();
  await server.kill();
  await page.locator(".own-state", { hasText: "Not connected" }).waitFor();
  const again = await start(t, { port: server.port, home: server.home });
  for (let n = 4; n <= 6; n++) await publish(again.url, line(n));
  await publish(again.url, update({ status: "success", progress: 100, stage: "Complete" }));
  await page.locator(".facts", { hasText: "success" }).waitFor();
  assert.deepEqual(
    await logLines(page),
    Array.from({ length: 6 }, (_, n) => `line ${n + 1}`),
  );
});

test("in Node, where there is no WebSocket, the client follows by server-sent events, also past a kill", async (t) => {
  const server = await start(t);
  const source = await (await fetch(`${server.url}/sdk.js`)).text();
  const { Fanfare } = await import(`data:text/javascript;base64,${Buffer.from(source).toString("base64")}`);
  const { token } = await (await fetch(`${server.url}/console/session`)).json();
  const fanfare = new Fanfare(server.url, { token, transport: "sse", minReconnectDelay: 50, maxReconnectDelay: 500 });
  t.after(() => fanfare.close());
  const deployment = fanfare.subscribe(`deployment:${id}`);
  const seen = [];
  deployment.on("event", ({ data }) => seen.push(...data.lines));
  await until(() => deployment.active);
  for (let n = 1; n <= 3; n++) await publish(server.url, line(n));
  await until(() => seen.length === 3);
  await server.kill();
  const again = await start(t, { port: server.port, home: server.home });
  for (let n = 4; n <= 6; n++) await publish(again.url, line(n));
  await until(() => seen.length >= 6);
  assert.deepEqual(
    seen,
    Array.from({ length: 6 }, (_, n) => `line ${n + 1}`),
  );
});
