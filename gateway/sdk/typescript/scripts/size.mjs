// The size budgets, minified and compressed: the core 8 KB, the bindings of Vue and Svelte 1 KB each.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { minify } from "rolldown/experimental";

const file = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const minified = async (name) => (await minify(name, readFileSync(file(name), "utf8"), { compress: true, mangle: true })).code;
const sources = [
  ["dist/fanfare.js", 8 * 1024, readFileSync(file("dist/fanfare.js"))],
  ["dist/vue.js", 1024, await minified("dist/vue.js")],
  ["dist/svelte.js", 1024, await minified("dist/svelte.js")],
];
for (const [name, budget, code] of sources) {
  const size = gzipSync(code, { level: 9 }).length;
  console.log(`${name}: ${size} of ${budget} bytes (gzip)`);
  if (size > budget) process.exitCode = 1;
}
