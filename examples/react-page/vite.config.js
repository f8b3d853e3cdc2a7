import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

// `npm install fanfare` in a project of yours; here it is taken from the sources beside this example.
const sdk = fileURLToPath(new URL("../../gateway/sdk/typescript/src/", import.meta.url));

export default defineConfig({
  resolve: { alias: { "fanfare/react": `${sdk}react.ts`, fanfare: `${sdk}index.ts` }, dedupe: ["react", "react-dom"] },
});
