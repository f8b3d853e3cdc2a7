import assert from "node:assert/strict";
import { availableParallelism, loadavg } from "node:os";
import { test } from "node:test";
import { open, violations } from "./browser.mjs";
import { publish, start, startRedis } from "./fanfare.mjs";

const PAGES = [
  "",
  "/deployments",
  "/deployments/d1",
  "/tasks",
  "/tasks/t1",
  "/agents",
  "/agents/a1",
  "/containers",
  "/containers/c1",
  "/repos",
  "/alerts",
  "/messages",
  "/users/alice",
  "/channel/deployments",
  "/fleet",
  "/connections",
  "/dead",
  "/explain",
  "/denied",
  "/audit",
  "/queue",
  "/analytics",
  "/inspector",
  "/api",
];

/** A bit of everything. */
const EVENTS = [
  { stream: "deployments", type: "deployment_update", id: "d1", data: { status: "building", progress: 40, stage: "Building project", message: "compiling" } },
  { stream: "deployments", type: "deployment_log", id: "d1", data: { lines: ["\u001b[32mok\u001b[0m tests passed", "\u001b[33mwarn\u001b[0m large chunk"] } },
  { stream: "tasks", type: "task_created", id: "t1", data: { title: "Review", executor: "codex" } },
  { stream: "tasks", type: "task_result", id: "t1", data: { status: "completed", result: { success: true } } },
  { stream: "agents", type: "agent_status", id: "a1", data: { agentName: "Assistant", state: "working", currentTask: "Review", progress: 30 } },
  {
    stream: "agents",
    type: "git_status",
    id: "a1",
    data: { repos: [{ id: "r1", path: "/srv/r1", name: "r1", branch: "main", status: "dirty", uncommittedCount: 1, modifiedFiles: ["a.rs"] }] },
  },
  { stream: "containers", type: "log", id: "c1", data: { level: "info", message: "hello" } },
  { stream: "messages", type: "notification", id: "alice", data: { level: "info", message: "for alice" } },
  { stream: "agents", type: "alert", id: "w1", data: { severity: "warning", title: "Disk is 84 % full", source: "runner" } },
];

test("no page breaks the policy, throws, or is out of reach for somebody", async (t) => {
  const { url } = await start(t);
  await publish(url, EVENTS);
  for (const look of [{ colorScheme: "light" }, { colorScheme: "dark", viewport: { width: 390, height: 844 } }]) {
    const page = await open(t, `${url}/console`, look);
    for (const path of PAGES) {
      await page.goto(`${url}/console${path}`);
      await page.locator(".own-state", { hasText: "Connected" }).waitFor();
      await page.locator(".skeleton").waitFor({ state: "detached" });
      assert.deepEqual(await violations(page), [], `${path} ${look.colorScheme}`);
      const [wide, width] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.ok(wide <= width, `${path} scrolls sideways: ${wide} > ${width}`);
    }
    assert.deepEqual(page.complaints, []);
  }
});

test("an event published by hand is on the screen, in the list and on its own page", async (t) => {
  const { url } = await start(t);
  const page = await open(t, `${url}/console/inspector`);
  await page.getByRole("button", { name: "deployments", exact: true }).click();
  await page.locator(".received-bar svg.live").waitFor();
  await page.getByRole("button", { name: "Publish" }).click();
  await page.locator(".outcome.good").first().waitFor();
  await page.locator(".received summary", { hasText: "deploy-123" }).waitFor();
  await page.getByRole("link", { name: /^Deployments/ }).click();
  await page.getByRole("link", { name: "deploy-123" }).click();
  await page.locator("h1", { hasText: "deploy-123" }).waitFor();
  await page.getByRole("progressbar", { name: "Progress" }).and(page.locator('[aria-valuenow="50"]')).waitFor();
});

test("a wrong event is refused with the field that is wrong", async (t) => {
  const { url } = await start(t);
  const page = await open(t, `${url}/console/inspector`);
  await page.getByLabel("Stream").selectOption("agents");
  await page.getByLabel("Data").fill('{"severity":"fatal","title":"x"}');
  await page.getByRole("button", { name: "Publish" }).click();
  await page.locator(".outcome.bad", { hasText: "severity" }).waitFor();
});

test("an alert is acknowledged, and stays so", async (t) => {
  const { url } = await start(t);
  await publish(url, EVENTS);
  const page = await open(t, `${url}/console/alerts`);
  await page.getByRole("button", { name: /Acknowledge/ }).click();
  await page.locator("tr", { hasText: "Disk is" }).waitFor({ state: "detached" });
  await page.reload();
  await page.getByRole("button", { name: /All/ }).click();
  await page.locator("tr.done", { hasText: "Disk is 84 % full" }).waitFor();
});

test("what happened before the page was connected is on it all the same", async (t) => {
  const { url } = await start(t);
  await publish(url, EVENTS);
  let connect;
  const released = new Promise((done) => (connect = done));
  const hold = (context) => context.routeWebSocket(/\/v1\/connect/, async (socket) => (await released, socket.connectToServer()));
  const page = await open(t, `${url}/console/alerts`, {}, hold);
  await page.locator("tr", { hasText: "Disk is" }).waitFor();
  await publish(url, { stream: "agents", type: "alert_acknowledged", id: "w1" });
  connect();
  await page.locator("tr", { hasText: "Disk is" }).waitFor({ state: "detached" });
});

/** One frame of sixty a second; browsers tell the time in tenths, so a difference may be off by one. */
const FRAME_MS = 16.7 + 0.1 + 1e-6;

const FRAMES = 240;

/** Drags the log up and down, 40 rows a frame; how long 95 % of the frames took at most. In the page. */
async function scroll(frames) {
  const box = document.querySelector(".log-rows");
  const frame = () => new Promise(requestAnimationFrame);
  const times = [];
  let last = await frame();
  for (let n = 0; n < frames; n++) {
    box.scrollTop = (n * 853) % (box.scrollHeight - box.clientHeight);
    const now = await frame();
    times.push(now - last);
    last = now;
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length * 0.95)];
}

/** The processor's time that the page's own thread has taken so far, ms. */
async function thread(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  return async () => {
    const { metrics } = await session.send("Performance.getMetrics");
    return metrics.find(({ name }) => name === "TaskDuration").value * 1000;
  };
}

test("ten thousand lines scroll smoothly, are searched and coloured", async (t) => {
  const { url } = await start(t);
  for (let n = 0; n < 10; n++) {
    const lines = Array.from({ length: 1000 }, (_, k) => `\u001b[36mline\u001b[0m ${n * 1000 + k + 1}`);
    await publish(url, { stream: "deployments", type: "deployment_log", id: "long", data: { lines } });
  }
  const page = await open(t, `${url}/console/deployments/long`);
  await page.locator(".log-rows", { hasText: "line 10000" }).waitFor();
  const rows = await page.locator(".log-rows li").count();
  assert.ok(rows < 120, `${rows} rows in the page`);
  assert.equal(await page.locator(".log-rows .fg-6").first().textContent(), "line");
  const spent = await thread(page);
  const before = await spent();
  const rounds = [];
  for (let round = 0; round < 3 && !(rounds.at(-1) <= FRAME_MS); round++) rounds.push(await page.evaluate(scroll, FRAMES));
  const work = ((await spent()) - before) / (FRAMES * rounds.length);
  t.diagnostic(`95 % of the frames within ${rounds.map((ms) => ms.toFixed(1)).join(", ")} ms; ${work.toFixed(1)} ms of work each`);
  assert.ok(work < FRAME_MS / 2, "a frame is too much work");
  // Where others have more to do than there are processors, frames are late whatever is in them.
  if (loadavg()[0] <= availableParallelism()) assert.ok(Math.min(...rounds) <= FRAME_MS, "scrolling is not smooth");
  await page.keyboard.press("/");
  await page.keyboard.type("line 4321");
  await page.locator(".hits", { hasText: "1 of 1" }).waitFor();
  await page.locator("li.chosen", { hasText: "4321" }).waitFor();
});

test("a dead letter is mended, sent back, and applied", async (t) => {
  const redis = await startRedis(t);
  if (!redis) return t.skip("there is no redis-server here");
  const { url } = await start(t, { env: { REDIS_URL: redis.url } });
  await redis.command("XADD", "fanfare:deployments", "*", "type", "deployment_update", "id", "mended", "data", '{"status":"building"');
  const page = await open(t, `${url}/console/dead`);
  await page.locator(".letters summary", { hasText: "mended" }).click();
  const fields = page.locator(".letters textarea");
  const text = await fields.inputValue();
  await fields.fill(JSON.stringify({ ...JSON.parse(text), data: '{"status":"building","progress":30}' }));
  await page.getByRole("button", { name: "Redrive", exact: true }).click();
  await page.locator(".empty", { hasText: "No dead letters" }).waitFor();
  await page.goto(`${url}/console/deployments/mended`);
  await page.getByRole("progressbar", { name: "Progress" }).and(page.locator('[aria-valuenow="30"]')).waitFor();
});
