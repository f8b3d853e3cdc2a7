// Is the committed /sdk.js what the source builds to? `npm run build` mends a difference.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const path = fileURLToPath(new URL("../dist/fanfare.js", import.meta.url));
const committed = readFileSync(path);
execFileSync(process.execPath, [fileURLToPath(new URL("build.mjs", import.meta.url))], { stdio: "inherit" });
if (!committed.equals(readFileSync(path))) {
  console.error("dist/fanfare.js was not what the source builds to; it is now");
  process.exitCode = 1;
}
