// The size budget of the console's scripts: 60 KB compressed, all together.
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const budget = 60 * 1024;
const folder = new URL("../dist/assets/", import.meta.url);
const scripts = readdirSync(folder).filter((name) => name.endsWith(".js"));
const size = scripts.reduce((sum, name) => sum + gzipSync(readFileSync(new URL(name, folder)), { level: 9 }).length, 0);
console.log(`console: ${size} of ${budget} bytes (gzip)`);
process.exit(size > budget ? 1 : 0);
