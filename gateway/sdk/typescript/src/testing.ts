/** Tests against a real server of their own (Node, Bun, Deno): `const server = await startServer()`. */

import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { env } from "node:process";

export interface ServerOptions {
  /** The executable; `FANFARE_BIN`, else `fanfare` on the PATH. */
  executable?: string;
  /** The server's settings, as in its README. */
  settings?: Record<string, string>;
}

/** A running server; `start` brings it back at the same address with the same records. */
export interface TestServer {
  readonly url: string;
  /** A token that this server accepts: `token("ann", "--channels", "tasks")`. */
  token(sub: string, ...words: string[]): string;
  /** Ends it at once, as a crash does. */
  kill(): Promise<void>;
  /** Ends it as a deployment does: it sends everybody elsewhere first. */
  drain(): Promise<void>;
  start(): Promise<void>;
  /** Ends it and removes its records. */
  close(): Promise<void>;
}

const READY_MS = 60_000;

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

/** Starts a server with its worker, in development mode, on a free port of this machine. */
export async function startServer({ executable = env.FANFARE_BIN ?? "fanfare", settings = {} }: ServerOptions = {}): Promise<TestServer> {
  const home = mkdtempSync(join(tmpdir(), "fanfare-"));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const own = {
    PATH: env.PATH ?? "",
    PORT: String(port),
    DATABASE_URL: `sqlite://${home}/fanfare.db`,
    EMBEDDED_REDIS_LISTEN: settings.REDIS_URL ? "off" : "127.0.0.1:0",
    LOG_LEVEL: "warn",
    DRAIN_MS: "3000",
    ...settings,
  };
  let end = async (_: NodeJS.Signals): Promise<void> => {};
  const start = async (): Promise<void> => {
    const child = spawn(executable, [], { cwd: home, env: own, stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    child.stderr.on("data", (part) => (said = (said + part).slice(-4000)));
    let over = false;
    const ended = new Promise<void>((done) => {
      const end = (): void => {
        over = true;
        done();
      };
      child.once("exit", end);
      child.once("error", (error) => {
        said += String(error);
        end();
      });
    });
    end = async (signal) => {
      child.kill(signal);
      await ended;
    };
    const ready = (): Promise<boolean> =>
      fetch(`${url}/readyz`).then(
        (answer) => answer.ok,
        () => false,
      );
    for (const late = Date.now() + READY_MS; !(await ready()); await new Promise((wake) => setTimeout(wake, 50))) {
      if (!over && Date.now() < late) continue;
      await end("SIGKILL");
      throw new Error(`fanfare did not start: ${said}`);
    }
  };
  const close = async (): Promise<void> => {
    await end("SIGKILL");
    rmSync(home, { recursive: true, force: true });
  };
  await start().catch(async (error: unknown) => {
    await close();
    throw error;
  });
  const token = (sub: string, ...words: string[]): string =>
    execFileSync(executable, ["token", "--sub", sub, ...words], { env: { PATH: own.PATH, ...settings }, encoding: "utf8" }).trim();
  return { url, token, kill: () => end("SIGKILL"), drain: () => end("SIGTERM"), start, close };
}
