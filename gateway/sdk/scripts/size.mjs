// The size budget of the core: 8 KB, minified and compressed.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const budget = 8 * 1024;
const size = gzipSync(readFileSync(new URL("../dist/fanfare.js", import.meta.url)), { level: 9 }).length;
console.log(`fanfare.js: ${size} of ${budget} bytes (gzip)`);
process.exit(size > budget ? 1 : 0);
