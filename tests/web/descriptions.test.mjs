// The descriptions that a server gives of itself, read by other people's parsers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Parser } from "@asyncapi/parser";
import { Validator } from "@seriousme/openapi-schema-validator";
import { open } from "./browser.mjs";
import { start } from "./fanfare.mjs";

test("openapi.json is valid OpenAPI 3.1", async (t) => {
  const { url } = await start(t);
  const validator = new Validator();
  const { valid, errors } = await validator.validate(await (await fetch(`${url}/openapi.json`)).json());
  assert.deepEqual([valid, errors ?? [], validator.version], [true, [], "3.1"]);
});

test("asyncapi.yaml is valid AsyncAPI 3", async (t) => {
  const { url } = await start(t);
  const { document, diagnostics } = await new Parser().parse(await (await fetch(`${url}/asyncapi.yaml`)).text());
  assert.deepEqual(
    diagnostics.filter(({ severity }) => severity === 0).map(({ message, path }) => `${path.join(".")}: ${message}`),
    [],
  );
  assert.equal(document.version(), "3.0.0");
});

test("the console shows them: every operation and every frame", async (t) => {
  const { url } = await start(t);
  const { paths } = await (await fetch(`${url}/openapi.json`)).json();
  const page = await open(t, `${url}/console/api`);
  await page.locator(".operations .path", { hasText: "/v1/publish" }).waitFor();
  const shown = await page.locator(".operations .path").allTextContents();
  for (const path of Object.keys(paths)) assert.ok(shown.includes(path), `${path} is missing`);
  for (const frame of ["subscribe", "welcome", "gap", "bye"]) assert.ok(shown.includes(frame), `${frame} is missing`);
  await page.locator("summary", { hasText: "/v1/publish" }).click();
  for (const field of ["event_id", "lease_ms", "traceparent"]) await page.locator(".told .fields code", { hasText: field }).first().waitFor();
  assert.deepEqual(page.complaints, []);
});
