import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

// `npm install fanfare` in a project of yours; here it is taken from the sources beside this example.
const sdk = fileURLToPath(new URL("../../gateway/sdk/typescript/src/", import.meta.url));
const alias = readdirSync(sdk).includes("index.ts") ? { "fanfare/react": `${sdk}react.ts`, fanfare: `${sdk}index.ts` } : {};

export default defineConfig({ resolve: { alias, dedupe: ["react", "react-dom"] } });
