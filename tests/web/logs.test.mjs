import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { open } from "./browser.mjs";
import { publish, start } from "./fanfare.mjs";

const LONG = 25_000;
const log = (id, lines) => ({ stream: "deployments", type: "deployment_log", id, data: { lines } });
const update = (id, data) => ({ stream: "deployments", type: "deployment_update", id, data });

/** A log of one line an event, longer than one search looks through. */
async function long(t) {
  const { url } = await start(t, { env: { PUBLISH_PER_SECOND: "1000000" } });
  for (let n = 0; n < LONG; n += 1000) {
    await publish(
      url,
      Array.from({ length: 1000 }, (_, k) => log("long", [`line ${n + k + 1}`])),
    );
  }
  return url;
}

/** Numbers and texts of the rows in the page. */
const rows = (page) =>
  page.evaluate(() =>
    [...document.querySelectorAll(".log-rows li:not(.hole)")].map((row) => [row.querySelector(".number").textContent, row.querySelector(".text").textContent]),
  );

test("a log of any length is read from its end, its holes are filled on sight, and its numbers are true", { timeout: 300_000 }, async (t) => {
  const url = await long(t);
  const page = await open(t, `${url}/console/deployments/long`);
  await page.locator(".log-rows", { hasText: `line ${LONG}` }).waitFor();
  await publish(url, log("long", ["one more"]));
  await page.locator(".log-rows li", { hasText: "one more" }).waitFor();
  const true_ = async () => {
    for (const [number, text] of await rows(page)) if (text.startsWith("line ")) assert.equal(number.replace("#", ""), text.slice(5));
  };
  await true_();
  // The middle, as by dragging the bar.
  await page.evaluate(() => {
    const box = document.querySelector(".log-rows");
    box.scrollTop = box.scrollHeight / 2;
  });
  await page
    .locator(".log-rows li:not(.hole)", { hasText: /line 1[0-4]\d{3}$/ })
    .first()
    .waitFor();
  await true_();
  await page.locator("h1").click();
  await page.keyboard.press("Home");
  await page.locator(".log-rows li", { hasText: /line 1$/ }).waitFor();
  await true_();
});

test("a search is through the whole log by the server, and so is a pattern; a link leads to a line", { timeout: 300_000 }, async (t) => {
  const url = await long(t);
  const page = await open(t, `${url}/console/deployments/long`);
  await page.locator(".log-rows", { hasText: `line ${LONG}` }).waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("line 12345");
  await page.locator(".hits", { hasText: /^1 of 1$/ }).waitFor();
  await page.locator("li.chosen", { hasText: "line 12345" }).waitFor();
  assert.match(page.url(), /find=line\+12345/);
  await page.getByRole("button", { name: "Regular expression" }).click();
  await page.getByRole("searchbox", { name: "Search the whole log" }).fill("line (7|19)77$");
  await page.locator(".hits", { hasText: /^1 of 2$/ }).waitFor();
  await page.getByRole("button", { name: "Next hit" }).click();
  await page.locator("li.chosen", { hasText: "line 1977" }).waitFor();
  await page.getByRole("button", { name: "Only hits" }).click();
  assert.deepEqual(
    (await rows(page)).map(([, text]) => text),
    ["line 777", "line 1977"],
  );
  await page.goto(`${url}/console/deployments/long#L9000-L9002`);
  await page.reload();
  await page.locator("li.marked", { hasText: "line 9001" }).waitFor();
  assert.equal(await page.locator("li.marked").count(), 3);
});

test("a line is what a terminal would show of it", async (t) => {
  const { url } = await start(t);
  await publish(url, [
    log("d", [
      "\u001b[38;2;255;0;0mred\u001b[0m \u001b[38;5;208morange\u001b[0m",
      "10 %\r 50 %\r100 %",
      "see https://example.com/a?b=1.",
      "javascript:alert(1)",
    ]),
    log("d", ["\rdone"]),
    log("d", ['{"level":"warn","msg":"disk is slow","ms":412}']),
  ]);
  const page = await open(t, `${url}/console/deployments/d`);
  await page.locator(".log-rows", { hasText: "disk is slow" }).waitFor();
  const texts = (await rows(page)).map(([, text]) => text.replace("▸", ""));
  assert.deepEqual(texts, ["red orange", "100 %", "see https://example.com/a?b=1.", "donescript:alert(1)", "warn disk is slow"]);
  assert.equal(
    await page
      .locator(".fg-any")
      .first()
      .evaluate((one) => one.style.getPropertyValue("--fg")),
    "rgb(255 0 0)",
  );
  assert.deepEqual(await page.locator(".log-rows a").evaluateAll((links) => links.map((link) => [link.getAttribute("href"), link.rel])), [
    ["https://example.com/a?b=1", "noreferrer noopener"],
  ]);
  await page.getByRole("button", { name: "All of this entry" }).click();
  await page.locator(".json", { hasText: '"ms": 412' }).waitFor();
  assert.deepEqual(page.complaints, []);
});

test("a failed run says why on top, leads to its first error, and is copied and downloaded whole", async (t) => {
  const { url } = await start(t);
  await publish(url, [update("d", { status: "building", progress: 10, stage: "Building" }), log("d", ["all fine"]), log("d", ["error: no such file"])]);
  await publish(url, [
    ...Array.from({ length: 200 }, (_, n) => log("d", [`after ${n}`])),
    update("d", { status: "error", stage: "Testing", message: "exit code 2" }),
  ]);
  const page = await open(t, `${url}/console/deployments/d`);
  await page.locator(".why", { hasText: "exit code 2" }).waitFor();
  await page.locator(".why", { hasText: "error: no such file" }).waitFor();
  await page.getByRole("button", { name: "First error" }).click();
  await page.locator("li.marked", { hasText: "no such file" }).waitFor();
  await page.locator(".stages button", { hasText: "Testing" }).click();
  await page.locator("li.marked", { hasText: "exit code 2" }).waitFor();
  await page.locator(".log-menu summary").click();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download all" }).click()]);
  const text = readFileSync(await download.path(), "utf8");
  assert.equal(text.trimEnd().split("\n").length, 203);
  assert.match(text, /^\d{4}-\d\d-\d\dT\S+Z all fine$/m);
});

test("a finished run is played back, and the slider leads to any moment of it", async (t) => {
  const { url } = await start(t);
  const at = Date.now() - 60_000;
  await publish(url, [
    { ...update("d", { status: "building", progress: 10, stage: "Building" }), at },
    { ...log("d", ["early"]), at: at + 1000 },
    { ...log("d", ["late"]), at: at + 30_000 },
    { ...update("d", { status: "success", progress: 100, stage: "Complete" }), at: at + 40_000 },
  ]);
  const page = await open(t, `${url}/console/deployments/d`);
  await page.locator(".facts", { hasText: "success" }).waitFor();
  await page.getByRole("button", { name: "Replay" }).click();
  await page.locator(".log-rows", { hasText: "early" }).waitFor();
  await page.getByRole("slider", { name: "Time" }).fill("2000");
  await page.locator(".facts", { hasText: "building" }).waitFor();
  assert.deepEqual(
    (await rows(page)).map(([, text]) => text),
    ["early"],
  );
  await page.getByRole("button", { name: "60×" }).click();
  await page.getByRole("button", { name: "Play", exact: true }).click();
  await page.locator(".facts", { hasText: "success" }).waitFor();
  await page.locator(".log-rows", { hasText: "late" }).waitFor();
});
