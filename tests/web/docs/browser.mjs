// A page's HTML in a real browser, from an origin of its own: it must show something, without complaints.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { chromium } from "playwright-core";
import { until } from "../fanfare.mjs";

/** Shows `html` until its text has `words`; `routes` answer a POST to their path. */
export async function show(stage, html, { words = /\S/, routes = {} } = {}) {
  const site = createServer(async (asked, answer) => {
    const route = routes[asked.url];
    if (route) return answer.end(await (await route()).text());
    answer.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(`<!doctype html>${html}`);
  });
  await new Promise((done) => site.listen(3000, "127.0.0.1", done));
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--headless", "--no-sandbox", "--disable-gpu"] });
  stage.after(() => browser.close());
  stage.after(() => site.close());
  const page = await browser.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto("http://localhost:3000/");
  const shown = async () => {
    const text = await page.evaluate("document.body.innerText");
    return words.test(text) && text;
  };
  const text = await until(shown, `${words} on the page; ${complaints}`);
  assert.deepEqual(complaints, []);
  console.log(`in a browser:\n${text.split("\n").slice(0, 3).join("\n")}\n`);
}
