// The package as somebody else would have it: packed, installed into an empty folder, and used from
// there by Node (both module systems), by Bun and Deno, and by a compiler.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const bin = (name) => join(root, "node_modules/.bin", name);
const place = mkdtempSync(join(tmpdir(), "fanfare-installed-"));
const run = (program, ...words) => execFileSync(program, words, { cwd: place, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });

const USES = `const client = new Fanfare("http://127.0.0.1:9");
if (client.state !== "disconnected" || typeof Agent !== "function" || typeof startServer !== "function") throw new Error("not whole");
client.close();
console.log("used");`;
const TYPES = `import { Fanfare, type EventOf } from "fanfare";
declare module "fanfare" {
  interface DeploymentState { commit?: string }
  interface TopicEvents { price_changed: { amount: number } }
}
const client = new Fanfare("http://127.0.0.1:9");
const deployment = client.subscribe("deployment:d1");
export const commit: string | undefined = deployment.state?.commit;
export const amount = (event: EventOf<"topic:prices">): number => event.data.amount;
// @ts-expect-error a misspelt field
deployment.state?.progres;
// @ts-expect-error a misspelt channel
client.subscribe("deploymnet:d1");
// @ts-expect-error a misspelt type
client.publish({ stream: "tasks", type: "task_craeted", id: "t", data: { title: "x" } });
`;

try {
  const [{ filename }] = JSON.parse(execFileSync("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", place], { cwd: root, encoding: "utf8" }));
  writeFileSync(join(place, "package.json"), '{ "private": true, "type": "module" }');
  run("npm", "install", "--silent", "--no-audit", "--no-fund", `./${filename}`);
  const modules = `import { Fanfare } from "fanfare";\nimport { Agent } from "fanfare/agent";\nimport { startServer } from "fanfare/testing";\n${USES}`;
  writeFileSync(join(place, "uses.mjs"), modules);
  writeFileSync(
    join(place, "uses.cjs"),
    `const { Fanfare } = require("fanfare");\nconst { Agent } = require("fanfare/agent");\nconst { startServer } = require("fanfare/testing");\n${USES}`,
  );
  writeFileSync(join(place, "uses.ts"), TYPES);
  for (const [name, ...words] of [
    [process.execPath, "uses.mjs"],
    [process.execPath, "uses.cjs"],
    [bin("bun"), "uses.mjs"],
    [bin("deno"), "run", "--quiet", "--allow-all", "uses.mjs"],
  ]) {
    if (run(name, ...words).trim() !== "used") throw new Error(`${name} ${words.join(" ")}`);
  }
  for (const resolution of ["bundler", "nodenext"]) {
    const module = resolution === "bundler" ? "esnext" : resolution;
    run(bin("tsc"), "--noEmit", "--strict", "--target", "es2022", "--module", module, "--moduleResolution", resolution, "uses.ts");
  }
  console.log(`installed: ${filename} in Node (modules, CommonJS), Bun and Deno; its types`);
} finally {
  rmSync(place, { recursive: true, force: true });
}
