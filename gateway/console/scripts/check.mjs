// Are the committed files what the source builds to? `npm run build` mends a difference.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const root = fileURLToPath(new URL("..", import.meta.url));
const fresh = mkdtempSync(join(tmpdir(), "console-"));

function files(folder) {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    names.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [path.slice(folder.length + 1), readFileSync(path)];
    }),
  );
}

try {
  await build({ root, logLevel: "error", build: { outDir: fresh, emptyOutDir: true } });
  const [committed, built] = [files(join(root, "dist")), files(fresh)];
  const names = [...new Set([...committed.keys(), ...built.keys()])].sort();
  const different = names.filter((name) => !committed.get(name)?.equals(built.get(name) ?? Buffer.alloc(0)));
  for (const name of different) console.error(`dist/${name} is not what the source builds to`);
  process.exitCode = different.length > 0 ? 1 : 0;
} finally {
  rmSync(fresh, { recursive: true });
}
