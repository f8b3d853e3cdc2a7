// The size budget of the console: 80 KB compressed, scripts and styles together.
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const budget = 80 * 1024;
const folder = new URL("../dist/assets/", import.meta.url);
const files = readdirSync(folder).filter((name) => /\.(js|css)$/.test(name));
const size = files.reduce((sum, name) => sum + gzipSync(readFileSync(new URL(name, folder)), { level: 9 }).length, 0);
console.log(`console: ${size} of ${budget} bytes (gzip)`);
process.exit(size > budget ? 1 : 0);
