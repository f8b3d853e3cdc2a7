import { defineConfig, type UserConfig } from "tsdown";

const config: UserConfig[] = defineConfig([
  {
    entry: ["src/index.ts", "src/react.ts", "src/compat/cloud-agents.ts", "src/compat/cloud-agents-react.ts", "src/compat/zerostate.ts"],
    format: "esm",
    platform: "neutral",
    target: "es2022",
    dts: true,
    clean: ["dist/**", "!dist/fanfare.js"],
    outExtensions: () => ({ js: ".js", dts: ".d.ts" }),
    deps: { neverBundle: ["react"] },
  },
  {
    // One file for `<script type="module">`: what the gateway serves as /sdk.js.
    entry: { fanfare: "src/index.ts" },
    format: "esm",
    platform: "browser",
    target: "es2022",
    minify: true,
    dts: false,
    clean: false,
    outExtensions: () => ({ js: ".js" }),
  },
]);

export default config;
