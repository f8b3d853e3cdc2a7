import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "./browser.mjs";
import { balancer, folder, publish, start, startPostgres, startRedis, until } from "./fanfare.mjs";

const PAGES = [
  "",
  "/deployments",
  "/deployments/d1",
  "/tasks",
  "/agents",
  "/agents/a1",
  "/containers",
  "/repos",
  "/alerts",
  "/messages",
  "/channel/tasks",
  "/fleet",
  "/connections",
  "/dead",
  "/denied",
  "/audit",
  "/queue",
  "/analytics",
];

/** What may only be told by whoever knows. */
const CALM =
  /All is well|on (its|their) way|No deployment is running|No .{0,20} yet|Everything that was appended|No dead letters|No client is connected|No alerts|No user is denied|Nothing has happened|No repository|No agents|No task waits|No such|Nothing matches/;

/** Two nodes and a worker on one Redis and one database, behind one address. */
async function installation(t) {
  const redis = await startRedis(t);
  if (!redis) return null;
  const postgres = await startPostgres(t);
  const home = folder(t);
  const env = { REDIS_URL: redis.url, DATABASE_URL: postgres.url };
  const nodes = [await start(t, { home, env }), await start(t, { home, env })];
  const { url } = await balancer(
    t,
    nodes.map(({ port }) => port),
  );
  await publish(url, [{ stream: "deployments", type: "deployment_update", id: "d1", data: { status: "success", progress: 100, stage: "Complete" } }]);
  return { redis, postgres, nodes, url };
}

/** By a link, not a load: that is how a page comes when the server is away. */
const visit = (page, path) => page.evaluate((href) => (history.pushState(null, "", href), dispatchEvent(new PopStateEvent("popstate"))), `/console${path}`);

/** Figures that are shown as 0 and that nobody knows. */
const unmeasured = (page) =>
  page.evaluate(async () => {
    const answer = await fetch("/v1/overview").catch(() => null);
    const known = answer?.ok ? await answer.json() : null;
    const text = (one, part) => one.querySelector(part).textContent;
    const shown = Object.fromEntries([...document.querySelectorAll(".figures > div")].map((one) => [text(one, "dt"), text(one, "strong")]));
    const measured = { Connections: known?.connections, Delivered: known?.rates?.delivered, "Dead letters": known?.dead?.total };
    return Object.keys(measured).filter((name) => shown[name] === "0" && (measured[name] ?? null) === null);
  });

/** Every page says that it does not know, and none is calm. */
async function isHonest(t, page, go, told) {
  for (const path of PAGES) {
    await go(path);
    await page.locator("h1").waitFor();
    await page.locator(".troubles", { hasText: told }).waitFor({ timeout: 30_000 });
    await page.waitForTimeout(600);
    const text = await page.locator("body").textContent();
    assert.doesNotMatch(text, CALM, `${path} is calm`);
    assert.notEqual(await page.locator(".own-state").textContent(), "Connected", path);
    // What was measured just before may be shown for as long as it is not old.
    await until(async () => (await unmeasured(page)).length === 0, `${path} shows no zero that nobody measured`, 10_000);
    t.diagnostic(`${told}: ${path || "/"}`);
  }
}

test("without the database no page, opened before or now, says more than is known", { timeout: 600_000 }, async (t) => {
  const house = await installation(t);
  if (!house) return t.skip("there is no redis-server here");
  const { url, postgres } = house;
  const page = await open(t, `${url}/console`);
  await page.locator(".own-state", { hasText: "Connected" }).waitFor();
  await postgres.stop();
  await isHonest(t, page, (path) => visit(page, path), "database");
  const fresh = await open(t, `${url}/console`);
  await isHonest(t, fresh, (path) => fresh.goto(`${url}/console${path}`), "database");
});

test("without Redis no page, opened before or now, says more than is known", { timeout: 600_000 }, async (t) => {
  const house = await installation(t);
  if (!house) return t.skip("there is no redis-server here");
  const { url, redis } = house;
  const page = await open(t, `${url}/console`);
  await page.locator(".own-state", { hasText: "Connected" }).waitFor();
  await redis.stop();
  await isHonest(t, page, (path) => visit(page, path), "Redis");
  const fresh = await open(t, `${url}/console`);
  await isHonest(t, fresh, (path) => fresh.goto(`${url}/console${path}`), "Redis");
});

test("without any node every page says that it is from before", { timeout: 600_000 }, async (t) => {
  const house = await installation(t);
  if (!house) return t.skip("there is no redis-server here");
  const page = await open(t, `${house.url}/console`);
  await page.locator(".own-state", { hasText: "Connected" }).waitFor();
  await Promise.all(house.nodes.map(({ kill }) => kill()));
  await isHonest(t, page, (path) => visit(page, path), "no connection");
});

test("one node of two that is killed is told of, and the other goes on", { timeout: 300_000 }, async (t) => {
  const house = await installation(t);
  if (!house) return t.skip("there is no redis-server here");
  const page = await open(t, `${house.url}/console/fleet`);
  await page.locator(".fleet tbody tr").nth(1).waitFor();
  await house.nodes[0].kill();
  await page.locator(".fleet .status", { hasText: /./ }).and(page.locator(".warn")).waitFor({ timeout: 60_000 });
  await page.locator(".lede", { hasText: "1 silent" }).waitFor();
  await visit(page, "");
  await page.locator("h1", { hasText: "One node is silent." }).waitFor({ timeout: 30_000 });
  // Its streams are the other one's by then.
  await visit(page, "/fleet");
  await until(
    async () => (await page.locator(".streams tbody tr", { hasText: "deployments" }).locator("td").last().textContent()) !== "–",
    "the stream has an owner",
    60_000,
  );
});
