// Pages for the browser: sources bundled, and served at a server's own origin.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** A client as its document prints it, with the server's address in place of the documented one. */
export function client(file, url = "") {
  return readFileSync(here(`../clients/${file}`), "utf8").replaceAll("ws://localhost:3000", url.replace("http", "ws"));
}

/** One script of a TypeScript source; `fanfare/…` is the SDK beside us. */
export async function bundle(source) {
  const sdk = (file) => here(`../../gateway/sdk/typescript/src/${file}`);
  const { outputFiles } = await build({
    stdin: { contents: source, loader: "tsx", resolveDir: here(".") },
    bundle: true,
    write: false,
    format: "esm",
    target: "es2022",
    jsx: "automatic",
    define: { "process.env.NODE_ENV": '"production"' },
    alias: {
      "fanfare/compat/cloud-agents/react": sdk("compat/cloud-agents-react.ts"),
      "fanfare/compat/cloud-agents": sdk("compat/cloud-agents.ts"),
      "fanfare/compat/zerostate": sdk("compat/zerostate.ts"),
      "fanfare/react": sdk("react.ts"),
      fanfare: sdk("index.ts"),
      react: here("node_modules/react"),
      "react-dom": here("node_modules/react-dom"),
    },
    logLevel: "error",
  });
  return outputFiles[0].text;
}

const TYPES = { html: "text/html; charset=utf-8", js: "text/javascript; charset=utf-8" };

/** Answers these paths of the server's origin with these files; everything else goes to the server. */
export async function serve(context, url, files) {
  // Such an answer comes from no address, so that to the browser the server is another network.
  await context.grantPermissions(["local-network-access"], { origin: url });
  for (const [path, body] of Object.entries(files)) {
    await context.route(url + path, (route) => route.fulfill({ contentType: TYPES[path.split(".").pop()], body }));
  }
}

/** A page around a script. */
export const page = (script, body = "") =>
  `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A page</title></head><body>${body}<script type="module" src="${script}"></script></body></html>`;
