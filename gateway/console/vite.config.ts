import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  base: "/console/",
  resolve: { alias: { fanfare: fileURLToPath(new URL("../sdk/src/index.ts", import.meta.url)) } },
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    sourcemap: false,
  },
  // The gateway to develop against: `GATEWAY=http://127.0.0.1:8080 npm run dev`.
  server: { proxy: { "^/(v1|api|metrics|readyz|console/session)": { target: process.env.GATEWAY ?? "http://127.0.0.1:8080", ws: true } } },
  test: { include: ["test/**/*.test.ts"] },
});
