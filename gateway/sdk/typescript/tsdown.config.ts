import { defineConfig, type UserConfig } from "tsdown";

// One file for `<script type="module">`: what the gateway serves as /sdk.js.
const config: UserConfig = defineConfig({
  entry: { fanfare: "src/index.ts" },
  format: "esm",
  platform: "browser",
  target: "es2022",
  minify: true,
  dts: false,
  clean: false,
  outExtensions: () => ({ js: ".js" }),
});

export default config;
