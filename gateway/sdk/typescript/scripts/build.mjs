// Builds what is published: modules with types and maps, the same as CommonJS, and the one file that a
// gateway serves as /sdk.js.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const run = (...words) => execFileSync("npx", ["--no-install", ...words], { cwd: root, stdio: "inherit" });

for (const name of readdirSync(`${root}/dist`)) if (name !== "fanfare.js") rmSync(`${root}/dist/${name}`, { recursive: true });
run("tsc", "-p", "tsconfig.build.json");
run("tsc", "-p", "tsconfig.build.json", "--module", "commonjs", "--verbatimModuleSyntax", "false", "--outDir", "dist/cjs");
writeFileSync(`${root}/dist/cjs/package.json`, '{ "type": "commonjs" }\n');
// Where the code names the built files, the types do too.
for (const name of readdirSync(`${root}/dist`, { recursive: true }).filter((name) => name.endsWith(".d.ts"))) {
  const types = readFileSync(`${root}/dist/${name}`, "utf8");
  writeFileSync(`${root}/dist/${name}`, types.replace(/(from "\.{1,2}\/[^"]*)\.ts"/g, '$1.js"'));
}
run("tsdown", "--logLevel", "error");
