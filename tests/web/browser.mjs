// One Chromium for a test file; a page that remembers what went wrong in it.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { chromium } from "playwright-core";

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let browser;
let profile;

before(async () => {
  profile = mkdtempSync(join(tmpdir(), "fanfare-chromium-"));
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
});

after(async () => {
  await browser?.close();
  rmSync(profile, { recursive: true, force: true });
});

/**
 * A page at `url`; `page.complaints` holds what the browser reported as wrong. `prepare` is given the
 * context before the page loads.
 */
export async function open(t, url, options = {}, prepare = async () => {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
  t.after(() => context.close());
  await prepare(context);
  const page = await context.newPage();
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.on("console", (message) => {
    const lost = /net::ERR_|WebSocket connection|Failed to load resource/.test(message.text()); // Servers are killed here on purpose, and say that they cannot answer.
    if (message.type() === "error" && !lost) page.complaints.push(message.text());
  });
  await page.goto(url);
  return page;
}

/** Serious and critical violations, one line each. */
export async function violations(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes[0].html} ${nodes[0].failureSummary}`);
}
