import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "./browser.mjs";
import { freePort, publish, start, startRedis } from "./fanfare.mjs";

const KEY = "console-tests-key-0123456789";
const PRODUCTION = {
  ENVIRONMENT: "production",
  HOST: "127.0.0.1",
  JWT_SECRET: "nobody-knows-this-one-before-the-test",
  API_KEYS: `tests:${KEY}`,
};
const update = (id, data) => ({ stream: "deployments", type: "deployment_update", id, data });

/** Publishes where a key is needed. */
async function say(url, events) {
  const headers = { "content-type": "application/json", authorization: `Bearer ${KEY}` };
  const answer = await fetch(`${url}/v1/publish`, { method: "POST", headers, body: JSON.stringify(events) });
  assert.ok(answer.ok, await answer.text());
}

async function logIn(page, credential) {
  await page.getByLabel("Token or API key").fill(credential);
  await page.getByRole("button", { name: "Enter" }).click();
}

test("a key logs in, also in the next tab, and is itself not kept", async (t) => {
  const { url } = await start(t, { env: PRODUCTION });
  await say(url, [update("d1", { status: "building", progress: 10, stage: "Build" })]);
  const page = await open(t, `${url}/console`);
  await logIn(page, "wrong-key-that-nobody-gave-out");
  await page.locator(".login .bad").waitFor();
  await logIn(page, KEY);
  await page.locator(".own-state", { hasText: "Connected" }).waitFor();
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
  assert.ok(!kept.includes(KEY), kept);
  const next = await page.context().newPage();
  await next.goto(`${url}/console/deployments`);
  await next.getByRole("link", { name: "d1" }).waitFor();
  await next.locator(".own-state", { hasText: "Connected" }).waitFor();
});

test("a share link admits to one deployment and to nothing else, and the token leaves the address", async (t) => {
  const { url } = await start(t, { env: PRODUCTION });
  await say(url, [update("d1", { status: "building", progress: 10, stage: "Build" }), update("d2", { status: "building" })]);
  const page = await open(t, `${url}/console/deployments/d1`);
  await logIn(page, KEY);
  await page.locator(".facts", { hasText: "Build" }).waitFor();
  await page.getByRole("button", { name: "Share" }).click();
  const link = await page.getByLabel("Link").inputValue();
  const guest = await open(t, link);
  await guest.locator(".facts", { hasText: "Build" }).waitFor();
  assert.ok(!guest.url().includes("token="), guest.url());
  await say(url, [update("d1", { progress: 77 })]);
  await guest.getByRole("progressbar", { name: "Progress" }).and(guest.locator('[aria-valuenow="77"]')).waitFor();
  assert.deepEqual(await guest.locator("nav a").allTextContents(), ["Overview", "Inspector", "API"]);
  await guest.goto(`${url}/console/deployments/d2`);
  await guest.locator(".failure", { hasText: "may not read" }).first().waitFor();
});

test("an empty installation offers a demo that plays, and a command with the port that takes it", async (t) => {
  const port = await freePort();
  const { url } = await start(t, { env: { EMBEDDED_REDIS_LISTEN: `127.0.0.1:${port}` } });
  const page = await open(t, `${url}/console`);
  await page.locator(".first-minute pre", { hasText: `redis-cli -h 127.0.0.1 -p ${port} XADD fanfare:deployments` }).waitFor();
  await page.getByRole("button", { name: "Start a demo" }).click();
  await page.locator(".going a", { hasText: "storefront-" }).waitFor();
  const closed = await start(t, { env: { EMBEDDED_REDIS_LISTEN: "off" } });
  const other = await open(t, `${closed.url}/console`);
  await other.locator(".first-minute pre", { hasText: `curl ${closed.url}/v1/publish` }).waitFor();
});

test("a list has the server's totals, and its filters are in the address", async (t) => {
  const { url } = await start(t);
  for (let n = 0; n < 230; n += 115) {
    await publish(
      url,
      Array.from({ length: 115 }, (_, k) => update(`run-${n + k}`, { status: k % 5 === 0 ? "error" : "success" })),
    );
  }
  const page = await open(t, `${url}/console/deployments`);
  await page.locator(".lede", { hasText: "230 deployments" }).waitFor();
  await page.getByRole("button", { name: "Error 46" }).click();
  await page.locator(".lede", { hasText: "46 deployments" }).waitFor();
  await page.getByRole("searchbox", { name: /Search ids/ }).fill("run-229");
  await page.locator(".quiet", { hasText: "Nothing matches." }).waitFor();
  assert.match(page.url(), /status=error&q=run-229/);
  await page.getByRole("button", { name: /^All/ }).click();
  await page.locator("tbody tr", { hasText: "run-229" }).waitFor();
  await page.goBack();
  await page.locator(".quiet", { hasText: "Nothing matches." }).waitFor();
  await page.goto(`${url}/console/deployments?q=run-22`);
  await page.locator(".lede", { hasText: "11 deployments" }).waitFor();
});

test("one box leads to whatever was typed: an id, an entry, a user", async (t) => {
  const { url } = await start(t);
  await publish(url, update("checkout-17", { status: "building", stage: "Build" }));
  const page = await open(t, `${url}/console`);
  await page.locator(".own-state", { hasText: "Connected" }).waitFor();
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox").fill("checkout");
  await page.getByRole("option", { name: /checkout-17/ }).waitFor();
  await page.keyboard.press("Enter");
  await page.locator("h1", { hasText: "checkout-17" }).waitFor();
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox").fill("1700000000000-0");
  await page.keyboard.press("Enter");
  await page.locator(".why", { hasText: "Nothing is known as" }).waitFor();
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox").fill("alice");
  await page.getByRole("option", { name: /Messages of a user/ }).click();
  await page.locator("h1", { hasText: "alice" }).waitFor();
});

test("dead letters are counted by reason, chosen by it, and sent back or dropped all at once", async (t) => {
  const redis = await startRedis(t);
  if (!redis) return t.skip("there is no redis-server here");
  const { url } = await start(t, { env: { REDIS_URL: redis.url } });
  for (let n = 0; n < 7; n++) await redis.command("XADD", "fanfare:deployments", "*", "type", "deployment_update", "id", `broken-${n}`, "data", "{");
  await redis.command("XADD", "fanfare:agents", "*", "type", "alert", "data", '{"severity":"info","title":"no id"}');
  const page = await open(t, `${url}/console/dead`);
  await page.locator(".lede", { hasText: "8 entries that were refused" }).waitFor();
  await page.locator(".reasons button").first().click();
  await page.waitForFunction(() => document.querySelectorAll(".letters > li").length === 7);
  await page.getByRole("button", { name: "Drop all" }).click();
  await page.getByRole("button", { name: "Really forget all?" }).click();
  await page
    .locator(".bulk", { hasText: "7 dropped" })
    .or(page.locator(".lede", { hasText: "1 entry that was refused" }))
    .first()
    .waitFor();
  await page.goto(`${url}/console/dead`);
  await page.locator(".lede", { hasText: "1 entry that was refused" }).waitFor();
});
