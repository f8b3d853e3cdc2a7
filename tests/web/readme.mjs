// Runs the README's commands as they are written, in the current folder: `node readme.mjs README.md`.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { until } from "./fanfare.mjs";

const readme = readFileSync(process.argv[2], "utf8");
const home = mkdtempSync(join(tmpdir(), "fanfare-readme-"));
const running = [];

/** The fenced blocks of a section, `[language, text]`. */
function blocks(section) {
  const text = readme.split(/^## /m).find((part) => part.startsWith(`${section}\n`)) ?? "";
  return [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language, body]) => [language, body]);
}

/** A block as its commands: a line that ends in a backslash goes on. */
const commands = (text) =>
  text
    .replace(/\\\n\s*/g, "")
    .split("\n")
    .filter((line) => line && !line.startsWith("#"));

/** Starts a command in a group of its own, so that all of it can be ended. */
function begin(line, env = {}) {
  const child = spawn("sh", ["-c", line], { detached: true, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  const job = { line, said: "", over: new Promise((done) => child.on("exit", (code) => done((job.code = code)))) };
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (part) => (job.said += part));
  job.end = async () => {
    if (job.code === undefined) process.kill(-child.pid, "SIGTERM");
    await job.over;
  };
  running.push(job);
  return job;
}

async function run(line, env) {
  const job = begin(line, env);
  await job.over;
  console.log(`$ ${line}\n${job.said.trimEnd().split("\n").slice(-4).join("\n")}\n`);
  return job;
}

const answers = (path = "/readyz") =>
  fetch(`http://127.0.0.1:8080${path}`).then(
    (answer) => answer.ok,
    () => false,
  );

/** From nothing to one's own event on the screen. */
async function firstMinutes() {
  const lines = blocks("Start")
    .filter(([language]) => language === "sh")
    .flatMap(([, text]) => commands(text));
  const [server, ...rest] = lines;
  assert.ok(lines.length <= 5, `${lines.length} commands until the first event: ${lines.join(" ; ")}`);
  const gateway = begin(`exec ${server}`); // So that the signal of the end is its own.
  await until(() => answers() || gateway.code !== undefined, server, 600_000);
  assert.equal(gateway.code, undefined, gateway.said);
  let last;
  for (const line of rest) last = await run(line);
  // The mock run fails now and then on purpose, and says so by its exit code.
  assert.ok(last.code === 0 || last.code === 1, `${last.line}: ${last.code}\n${last.said}`);
  assert.match(last.said, /Cloning repository|Installing dependencies/, last.said);
  assert.ok(await answers("/console"), "the console is there");
  await gateway.end();
  assert.equal(gateway.code, 0, `a drain ends with 0: ${gateway.said}`);
  console.log(`${lines.length} commands to one's own event on the screen\n`);
}

/** How a program of each language is run; the others are read by people only. */
const PROGRAMS = {
  python: (text) => [write("publish.py", text), "/usr/bin/python3"],
  js: (text) => [write("publish.mjs", text, fileURLToPath(new URL(".", import.meta.url))), process.execPath],
};

function write(name, text, folder = home) {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

/** Every example that can be run here appends an event that the server records. */
async function publishing() {
  const gateway = begin("exec cargo run", { DATABASE_URL: `sqlite://${home}/examples.db` });
  await until(() => answers() || gateway.code !== undefined, "the server", 60_000);
  const { token } = await (await fetch("http://127.0.0.1:8080/console/session")).json();
  const head = async () => {
    const answer = await fetch("http://127.0.0.1:8080/v1/channels/deployments", { headers: { authorization: `Bearer ${token}` } });
    return (await answer.json()).position;
  };
  for (const [language, text] of blocks("Publish")) {
    const before = await head();
    if (language === "sh") for (const line of commands(text)) assert.equal((await run(line)).code, 0, line);
    else if (PROGRAMS[language]) {
      const [file, program] = PROGRAMS[language](text);
      try {
        console.log(`$ ${program} ${file}`);
        execFileSync(program, [file], { stdio: "inherit", timeout: 20_000 });
      } finally {
        rmSync(file);
      }
    } else continue;
    await until(async () => (await head()) !== before, `what the ${language} example published is recorded`);
    console.log(`recorded: the ${language} example\n`);
  }
  await gateway.end();
}

try {
  await firstMinutes();
  await publishing();
} finally {
  for (const job of running) await job.end();
  rmSync(home, { recursive: true, force: true });
}
