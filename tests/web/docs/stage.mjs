// Where a page's commands run: a folder and a server of its own, and what goes on in the background.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../fanfare.mjs";
import { root } from "./page.mjs";

const answers = (url) =>
  fetch(url).then(
    (answer) => answer.ok,
    () => false,
  );

export class Stage {
  home = mkdtempSync(join(tmpdir(), "fanfare-docs-"));
  running = [];
  /** What the fixtures of the other tests ask of a test. */
  cleanups = [];
  after = (cleanup) => this.cleanups.unshift(cleanup);

  constructor() {
    symlinkSync(join(root, "examples"), join(this.home, "examples"));
  }

  /** Starts a command in a group of its own, so that all of it can be ended. */
  begin(line) {
    const env = { ...process.env, HOME: this.home, MOCK_STEP_MS: "300-900" };
    const child = spawn("bash", ["-c", line], { cwd: this.home, detached: true, env, stdio: ["ignore", "pipe", "pipe"] });
    const job = { line, said: "", over: new Promise((done) => child.on("exit", (code, signal) => done((job.code = code ?? signal)))) };
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (part) => (job.said += part));
    job.end = async () => {
      try {
        process.kill(-child.pid, "SIGTERM");
      } catch {
        // All of its group has ended.
      }
      await job.over;
      return job.code;
    };
    this.running.push(job);
    return job;
  }

  /** Runs a command to its end and shows the last lines that it wrote. */
  async run(line, seconds = 120) {
    const job = this.begin(line);
    const late = setTimeout(() => job.end(), seconds * 1000);
    await job.over;
    clearTimeout(late);
    console.log(`$ ${line}\n${job.said.trimEnd().split("\n").slice(-4).join("\n")}\n`);
    return job;
  }

  /** Starts a command that serves `port`, and waits until it does. */
  async serve(line, port) {
    const job = this.begin(line);
    await until(async () => job.code !== undefined || (await answers(`http://127.0.0.1:${port}/readyz`)), line, 60_000);
    if (job.code !== undefined) throw new Error(`${line} ended with ${job.code}: ${job.said}`);
    return job;
  }

  /** Ends everything; what the page started last ends first. */
  async end() {
    for (const job of this.running.reverse()) await job.end();
    for (const cleanup of this.cleanups) await cleanup();
    rmSync(this.home, { recursive: true, force: true });
  }
}
