// Every client of ours as a process that follows channels and writes down what it was given.
import { execFileSync, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { until } from "../../web/fanfare.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const sdk = (path) => here(`../../../gateway/sdk/${path}`);
const target = process.env.CARGO_TARGET_DIR ?? here("../../../target");

/** How each client is started. What has to be built is built once, by `prepare`. */
const PROGRAMS = {
  Node: () => [process.execPath, here("follower.mjs")],
  Bun: () => [sdk("typescript/node_modules/.bin/bun"), here("follower.mjs")],
  Deno: () => [sdk("typescript/node_modules/.bin/deno"), "run", "--quiet", "--allow-all", here("follower.mjs")],
  Python: () => [sdk("python/.venv/bin/python"), here("follower.py")],
  Go: () => [here("go/follower")],
  Rust: () => [`${target}/debug/examples/follower`],
};

export const CLIENTS = (process.env.CLIENTS ?? Object.keys(PROGRAMS).join(",")).split(",");

export function prepare() {
  if (CLIENTS.includes("Go")) execFileSync(process.env.GO ?? "go", ["build", "-o", "follower", "."], { cwd: here("go"), stdio: "inherit" });
}

/** One client that follows `channels` of the server at `url`. */
export class Follower {
  events = new Map();
  gaps = [];
  errors = [];
  subscribed = [];
  degraded = false;
  #states = null;
  #said = "";

  constructor(t, name, url, channels, env = {}) {
    this.name = name;
    const [program, ...words] = PROGRAMS[name]();
    const own = { FANFARE_URL: url, FANFARE_SDK: sdk("typescript/dist/index.js"), PYTHONPATH: sdk("python"), NO_PROXY: "127.0.0.1" };
    if (name === "Node") own.WS = here("../../web/node_modules/ws/wrapper.mjs");
    this.child = spawn(program, [...words, ...channels], { env: { PATH: process.env.PATH, HOME: process.env.HOME, ...own, ...env }, stdio: ["pipe", "pipe", "pipe"] });
    this.child.stderr.on("data", (part) => (this.#said = (this.#said + part).slice(-4000)));
    this.child.on("exit", (code) => (this.code = code));
    createInterface({ input: this.child.stdout }).on("line", (line) => this.#hear(JSON.parse(line)));
    t.after(() => this.child.kill("SIGKILL"));
  }

  #hear({ kind, channel, ...rest }) {
    if (kind === "event") this.positions(channel).push(rest.position);
    else if (kind === "gap") this.gaps.push({ channel, ...rest });
    else if (kind === "error") this.errors.push({ channel, ...rest });
    else if (kind === "subscribed") this.subscribed.push(channel);
    else if (kind === "degraded") this.degraded = rest.degraded;
    else if (kind === "states") this.#states = rest.states;
  }

  /** The positions of a channel's events, in the order in which they were delivered. */
  positions(channel) {
    if (!this.events.has(channel)) this.events.set(channel, []);
    return this.events.get(channel);
  }

  /** Waits for something, as long as the process lives. */
  async sees(what, condition, ms = 60_000) {
    await until(
      () => {
        if (this.code !== undefined) throw new Error(`${this.name} ended with ${this.code}: ${this.#said}`);
        return condition(this);
      },
      `${this.name}: ${what}`,
      ms,
    );
  }

  /** The states as it has folded them. */
  async states() {
    this.#states = null;
    this.child.stdin.write("\n");
    await this.sees("its states", () => this.#states);
    return this.#states;
  }

  /** Ends it in good order. */
  async end() {
    this.child.stdin.end();
    await until(() => this.code !== undefined, `${this.name} ends`);
    if (this.code !== 0) throw new Error(`${this.name} ended with ${this.code}: ${this.#said}`);
  }
}
