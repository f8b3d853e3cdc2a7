// Tries pages of the documentation: `node main.mjs README.md docs/publish.md`; see tests/docs.
import assert from "node:assert/strict";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parse as parseYaml } from "yaml";
import { bundle } from "../bundle.mjs";
import { startPostgres, startRedis, until } from "../fanfare.mjs";
import { show } from "./browser.mjs";
import { blocks, broken, read, root } from "./page.mjs";
import { play } from "./socket.mjs";
import { Stage } from "./stage.mjs";

/** A block's commands: a line that ends in a backslash goes on. */
const commands = (text) =>
  text
    .replace(/\\\n\s*/g, " ")
    .split("\n")
    .filter((line) => line && !line.startsWith("#"));

/** A folder below the page's, with a program in it. */
function program(stage, name, text) {
  const file = join(stage.home, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

/** How a program of a language is run. */
const PROGRAMS = {
  /** A block is one script, as whoever pastes it has it. */
  sh: async (stage, text, codes = [0]) => {
    const { code, said } = await stage.run(`set -eo pipefail\n${text}`, 300);
    assert.ok(codes.includes(code), `${text}: ${code}\n${said}`);
  },
  python: (stage, text) => PROGRAMS.sh(stage, `python3 ${program(stage, "program.py", text)}`),
  js: (stage, text) => {
    // Modules are looked for beside a program.
    const file = join(root, "tests/web", `docs-program-${process.pid}.mjs`);
    stage.after(() => PROGRAMS.sh(stage, `rm -f ${file}`));
    writeFileSync(file, text);
    return PROGRAMS.sh(stage, `node ${file}`);
  },
  go: (stage, text) => {
    const folder = dirname(program(stage, "go/main.go", text));
    for (const file of ["go.mod", "go.sum"]) cpSync(join(root, "tests/redis_clients/go", file), join(folder, file));
    const caches = ["GOPATH", "GOCACHE"].map((name) => `${name}=$(HOME=${process.env.HOME} go env ${name})`).join(" ");
    return PROGRAMS.sh(stage, `cd ${folder} && ${caches} go run .`);
  },
  json: (_, text) => void JSON.parse(text),
  yaml: (_, text) => void parseYaml(text),
  toml: (stage, text) => PROGRAMS.sh(stage, `python3 -c "import tomllib, sys; tomllib.load(open('${program(stage, "a.toml", text)}', 'rb'))"`),
};

/** What a comment before a block asks for, the first that fits. */
const WAYS = [
  [/^not here, (\S+) does$/, (_, __, [, where]) => readFileSync(join(root, where))],
  [/^in the background$/, (stage, { text }) => stage.serve(commands(text)[0], 8080)],
  [/^exit 0 or 1/, (stage, { text }) => PROGRAMS.sh(stage, text, [0, 1])],
  [/^socket (\S+)$/, (stage, { text }, [, path]) => play(stage, path, text)],
  [/^in a browser$/, (stage, { text }) => show(stage, text)],
  [/^file (\S+)$/, (stage, { text }, [, name]) => void program(stage, name, text)],
  [/^serves port (\d+)$/, (stage, { text }, [, port]) => background(stage, text, port)],
  [/^stopped after (\d+) s$/, (stage, { text }, [, seconds]) => stopped(stage, text, seconds)],
  [/^quoted from (\S+)$/, (_, { text }, [, file]) => quoted(text, file)],
  [/^with Redis and PostgreSQL$/, (stage, { text }) => installation(stage, text)],
  [/^as an application of Next.js$/, (stage, { text }) => application(stage, text)],
  [/^steps of a job$/, (stage, { text }) => steps(stage, text)],
];

/** A command that goes on, and is there once somebody listens at its port. */
async function background(stage, text, port) {
  const job = stage.begin(commands(text)[0]);
  const listens = () =>
    fetch(`http://127.0.0.1:${port}/`).then(
      () => true,
      () => job.code !== undefined,
    );
  await until(listens, job.line, 30_000);
  assert.equal(job.code, undefined, job.said);
}

/** A command that goes on, and shows something in so many seconds. */
async function stopped(stage, text, seconds) {
  for (const line of commands(text)) {
    const job = await stage.run(`timeout ${seconds} ${line}`);
    assert.equal(job.code, 124, job.said);
    assert.match(job.said, /data:/, `${line} shows something`);
  }
}

/** A passage of a program that is run elsewhere: each of its lines stands there. */
function quoted(text, file) {
  const lines = readFileSync(join(root, file), "utf8")
    .split("\n")
    .map((line) => line.trim());
  for (const line of text.split("\n")) assert.ok(lines.includes(line.trim()), `${file} has no line ${line}`);
}

/** Several processes on a Redis and a PostgreSQL: what one XADD says is seen at each gateway. */
async function installation(stage, text) {
  const redis = await startRedis(stage, 6379);
  await startPostgres(stage, { port: 5432, user: "postgres" });
  const job = stage.begin(`${text}\nwait`);
  const ports = [...text.matchAll(/PORT=(\d+)/g)].map(([, port]) => port);
  await redis.command("XADD", "fanfare:deployments", "*", "type", "deployment_update", "id", "spread", "data", '{"progress":42}');
  for (const port of ports) {
    const progress = () =>
      fetch(`http://127.0.0.1:${port}/v1/channels/deployment:spread`).then(
        async (answer) => (await answer.json()).state?.progress === 42,
        () => job.code !== undefined,
      );
    await until(progress, `the event at ${port}: ${job.said}`, 60_000);
  }
  assert.equal(job.code, undefined, job.said);
  await job.end();
}

/** The steps of a workflow's only job, with the values of its `env`. */
async function steps(stage, text) {
  const [job] = Object.values(parseYaml(text).jobs);
  const env = Object.entries({ ...job.env, GITHUB_SHA: "0a1b2c3", GITHUB_RUN_ID: "77", GITHUB_REPOSITORY: "org/shop" });
  const values = env.map(
    ([name, value]) =>
      `export ${name}='${String(value)
        .replace(/\$\{\{ vars\.FANFARE_URL \}\}/, "http://127.0.0.1:8080")
        .replace(/\$\{\{.*?\}\}/, "")}'`,
  );
  for (const step of job.steps.filter((step) => step.run)) {
    const file = program(stage, "step.sh", `set -e\n${values.join("\n")}\n${step.run}`);
    const { code, said } = await stage.run(`bash ${file}`);
    assert.equal(code, 0, said);
  }
}

/** The files below `app/` as Next.js puts them together: the page in a browser, the route at the server. */
async function application(stage, text) {
  await PROGRAMS.sh(stage, text);
  const source = `import { createRoot } from "react-dom/client"; import Page from "${stage.home}/app/page.tsx";
    createRoot(document.body).render(<Page />);`;
  const html = `<body><script>globalThis.process = { env: {} }</script><script type="module">${(await bundle(source)).replaceAll("</script", "<\\/script")}</script>`;
  const route = program(stage, "route.mjs", await bundle(`export * from "${stage.home}/app/api/fanfare-token/route.ts"`));
  process.env.FANFARE_URL = "http://127.0.0.1:8080";
  const { POST } = await import(route);
  await show(stage, html, { words: /building/, routes: { "/api/fanfare-token": POST } });
}

async function attempt(page) {
  const stage = new Stage();
  const all = blocks(page);
  try {
    if (all.length > 0 && !all.some(({ how }) => how === "in the background")) await stage.serve("exec fanfare", 8080);
    for (const block of all) {
      const [, way, match] = WAYS.map(([words, way]) => [words, way, block.how.match(words)]).find(([, , match]) => match) ?? [];
      assert.ok(way || !block.how, `${page.path}: nobody knows how to run: ${block.how}`);
      if (way) await way(stage, block, match);
      else if (block.language !== "text") {
        assert.ok(PROGRAMS[block.language], `${page.path}: nobody knows how to run ${block.language || "a block without a language"}`);
        await PROGRAMS[block.language](stage, block.text);
      }
    }
  } finally {
    await stage.end();
  }
  console.log(`-- ${page.path}: ${all.length} blocks\n`);
}

const wrong = [];
for (const path of process.argv.slice(2)) {
  const page = read(join(root, path));
  wrong.push(...broken(page));
  await attempt(page).catch((error) => wrong.push(`${path}: ${error.message ?? error}`));
}
const readme = read(join(root, "README.md"));
const lines = readme.text.split("\n").length - 1;
if (lines > 200) wrong.push(`README.md has ${lines} lines: what explains belongs into docs/`);
const [first, second] = blocks(readme).filter(({ language }) => language === "sh");
const minutes = [first, second].flatMap(({ text }) => commands(text));
if (minutes.length > 5) wrong.push(`README.md: ${minutes.length} commands until the first event is on the screen`);
for (const line of wrong) console.error(line);
process.exitCode = wrong.length > 0 ? 1 : 0;
