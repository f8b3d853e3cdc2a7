// Real servers, and a balancer in front of two of them.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer as createHttpServer, request as httpRequest } from "node:http";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
/** The executable under test. */
export const binary = process.env.FANFARE_BIN ?? join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "debug/fanfare");

/** Waits until `condition` answers with something true, and answers with that. */
export async function until(condition, what = condition.toString(), ms = 20_000) {
  for (const end = Date.now() + ms; Date.now() < end; await new Promise((wake) => setTimeout(wake, 50))) {
    const value = await condition();
    if (value) return value;
  }
  throw new Error(`waited in vain: ${what}`);
}

export async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

/** A folder that goes with the test. */
export function folder(t) {
  const path = mkdtempSync(join(tmpdir(), "fanfare-web-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** One process; by default all in one, on a database file of its own. */
export async function start(t, { port, home = folder(t), role = [], env = {} } = {}) {
  port ??= await freePort();
  const settings = { PORT: String(port), DATABASE_URL: `sqlite://${home}/fanfare.db`, LOG_LEVEL: "warn", DRAIN_MS: "2000", EMBEDDED_REDIS_LISTEN: "off" };
  const child = spawn(binary, role, { cwd: home, env: { PATH: process.env.PATH, ...settings, ...env }, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (part) => (said = (said + part).slice(-4000)));
  const over = new Promise((done) => child.on("exit", done));
  const end = async (signal) => {
    child.kill(signal);
    await over;
  };
  t.after(() => end("SIGKILL"));
  const url = `http://127.0.0.1:${port}`;
  const ready = async () => {
    if (child.exitCode !== null) throw new Error(`fanfare ended with ${child.exitCode}: ${said}`);
    return fetch(`${url}/readyz`).then(
      (answer) => answer.ok,
      () => false,
    );
  };
  await until(ready, `fanfare is ready at ${url}`, 60_000);
  return { url, port, home, kill: () => end("SIGKILL"), drain: () => end("SIGTERM") };
}

/** Runs a command of the executable against a server, and answers with what it wrote when it ended. */
export function command(t, url, ...words) {
  const child = spawn(binary, words, { env: { PATH: process.env.PATH, FANFARE_URL: url }, stdio: ["ignore", "pipe", "pipe"] });
  t.after(() => child.kill("SIGKILL"));
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (part) => (said += part));
  return new Promise((done, fail) => child.on("exit", (code) => (code === 0 ? done(said) : fail(new Error(`fanfare ${words.join(" ")}: ${code}\n${said}`)))));
}

/** A Redis of the test's own; null where there is none to start. */
export async function startRedis(t, port = null) {
  const home = folder(t);
  port ??= await freePort();
  const child = spawn("redis-server", ["--port", String(port), "--bind", "127.0.0.1", "--dir", home, "--save", "", "--appendonly", "no"], { stdio: "ignore" });
  const missing = await new Promise((done) => child.once("error", () => done(true)).once("spawn", () => done(false)));
  if (missing) return null;
  t.after(() => child.kill("SIGKILL"));
  const command = (...words) =>
    new Promise((done, fail) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.write(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`);
      });
      socket.once("data", (data) => done(String(data)) ?? socket.end());
      socket.once("error", fail);
    });
  await until(
    () =>
      command("PING").then(
        (answer) => answer.startsWith("+PONG"),
        () => false,
      ),
    "redis answers",
  );
  const over = new Promise((done) => child.on("exit", done));
  const stop = async () => {
    child.kill("SIGKILL");
    await over;
  };
  return { url: `redis://127.0.0.1:${port}`, port, command, stop };
}

export async function publish(url, events) {
  const answer = await fetch(`${url}/v1/publish`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(events),
  });
  if (!answer.ok) throw new Error(`publish: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

/** Hands each connection to the first server that takes it, beginning with another one each time. */
export async function balancer(t, ports) {
  let turn = 0;
  const sockets = new Set();
  const server = createServer((client) => {
    const first = turn++;
    const attempt = (n) => {
      if (n === ports.length) return client.destroy();
      const upstream = connect(ports[(first + n) % ports.length], "127.0.0.1");
      upstream.once("connect", () => {
        for (const socket of [client, upstream]) sockets.add(socket);
        client.pipe(upstream).pipe(client);
        client.on("close", () => upstream.destroy());
        upstream.on("close", () => client.destroy());
      });
      upstream.once("error", () => (upstream.connecting || !sockets.has(upstream) ? attempt(n + 1) : client.destroy()));
    };
    client.on("error", () => {});
    attempt(0);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return { url: `http://127.0.0.1:${server.address().port}`, cut };
}

/** A proxy as in some offices: HTTP passes, WebSockets do not. */
export async function office(t, port) {
  const server = createHttpServer((asked, answer) => {
    const { method, url: path, headers } = asked;
    const upstream = httpRequest({ host: "127.0.0.1", port, method, path, headers }, (said) => {
      answer.writeHead(said.statusCode, said.headers);
      answer.flushHeaders();
      said.pipe(answer);
      said.on("error", () => answer.destroy());
    });
    upstream.on("error", () => answer.destroy());
    answer.on("close", () => upstream.destroy());
    asked.pipe(upstream);
  });
  server.on("upgrade", (_, socket) => socket.end("HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"));
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${server.address().port}` };
}

/** A PostgreSQL of the test's own, for nodes that share a record; it refuses root, so `postgres` runs it. */
export async function startPostgres(t, { port, user = "fanfare" } = {}) {
  const versions = readdirSync("/usr/lib/postgresql").sort((a, b) => Number(a) - Number(b));
  const programs = `/usr/lib/postgresql/${versions.at(-1)}/bin`;
  const home = mkdtempSync(join(tmpdir(), "fanfare-web-"));
  const as = process.getuid() === 0 ? ["runuser", "-u", "postgres", "--"] : ["env"];
  if (process.getuid() === 0) execFileSync("chown", ["postgres", home]);
  const data = join(home, "data");
  execFileSync(as[0], [...as.slice(1), `${programs}/initdb`, "-D", data, "-U", user, "-A", "trust", "--no-sync"], { stdio: "ignore", cwd: home });
  port ??= await freePort();
  const settings = ["-c", "fsync=off", "-c", "listen_addresses=127.0.0.1", "-c", `unix_socket_directories=${home}`];
  const child = spawn(as[0], [...as.slice(1), `${programs}/postgres`, "-D", data, "-p", String(port), ...settings], { stdio: "ignore", cwd: home });
  const over = new Promise((done) => child.on("exit", done));
  const stop = async () => {
    if (child.exitCode !== null) return;
    execFileSync(as[0], [...as.slice(1), `${programs}/pg_ctl`, "-D", data, "-m", "immediate", "stop"], { stdio: "ignore", cwd: home });
    await over;
  };
  t.after(async () => {
    await stop();
    rmSync(home, { recursive: true, force: true });
  });
  const ready = () =>
    new Promise((done) => {
      const probe = spawn(`${programs}/pg_isready`, ["-q", "-h", "127.0.0.1", "-p", String(port)], { stdio: "ignore" });
      probe.on("exit", (code) => done(code === 0));
    });
  await until(ready, "postgres answers", 30_000);
  return { url: `postgres://${user}@127.0.0.1:${port}/postgres`, stop };
}
