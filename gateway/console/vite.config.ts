import { fileURLToPath } from "node:url";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";
import { parse } from "yaml";

/** `import value from "file.yaml"`, parsed here and now. */
const yaml: Plugin = {
  name: "yaml",
  transform: (code, id) => (id.endsWith(".yaml") ? { code: `export default ${JSON.stringify(parse(code))};`, map: null } : null),
};

export default defineConfig({
  base: "/console/",
  plugins: [yaml],
  resolve: { alias: { fanfare: fileURLToPath(new URL("../sdk/typescript/src/index.ts", import.meta.url)) } },
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    sourcemap: false,
  },
  // The gateway to develop against: `GATEWAY=http://127.0.0.1:8080 npm run dev`.
  server: { proxy: { "^/(v1|console/session)": { target: process.env.GATEWAY ?? "http://127.0.0.1:8080", ws: true } } },
  test: { include: ["test/**/*.test.ts"] },
});
