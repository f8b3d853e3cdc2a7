// Pictures of every page of the console, to be looked at, and those of the README.
//
//     npm run pictures [-- FOLDER]     every page × empty, busy, degraded × light, dark × desktop, phone
//     npm run pictures -- --readme     gateway/console/pictures
//
// `MOODS=busy LOOKS=light,phone-dark` makes some of them only.
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";
import { open } from "./browser.mjs";
import { binary, command, folder, publish, start, startPostgres, startRedis, until } from "./fanfare.mjs";

const FOR_README = process.argv.includes("--readme");
const OUT = process.argv.slice(2).find((word) => !word.startsWith("--")) ?? "pictures";
const README = fileURLToPath(new URL("../../gateway/console/pictures", import.meta.url));
const DESKTOP = { width: 1280, height: 860 };
const PHONE = { width: 390, height: 844 };
const LOOKS = {
  light: { colorScheme: "light", viewport: DESKTOP },
  dark: { colorScheme: "dark", viewport: DESKTOP },
  "phone-light": { colorScheme: "light", viewport: PHONE },
  "phone-dark": { colorScheme: "dark", viewport: PHONE },
};
const PAGES = {
  overview: "",
  deployments: "/deployments",
  deployment: "/deployments/storefront-482",
  tasks: "/tasks",
  task: "/tasks/review-17",
  agents: "/agents",
  repos: "/repos",
  alerts: "/alerts",
  connections: "/connections",
  streams: "/streams",
  inspector: "/inspector",
  api: "/api",
  nowhere: "/nowhere",
};
const chosen = (table, names) => Object.entries(table).filter(([name]) => !names || names.split(",").includes(name));
const pause = (ms) => new Promise((wake) => setTimeout(wake, ms));

/** A deployment worth looking at: `[progress, stage, lines]`. */
const STORY = [
  [8, "Cloning repository", ["Cloning git@example.com:shop/storefront.git", "HEAD is now at \x1b[33m9f31c20\x1b[0m Cart: totals are kept in cents"]],
  [22, "Installing dependencies", ["\x1b[2mlockfile is up to date\x1b[0m", "\x1b[32m✓\x1b[0m 412 packages in 1.9 s"]],
  [
    41,
    "Building project",
    ["\x1b[36mvite\x1b[0m building for production", "\x1b[32m✓\x1b[0m 318 modules transformed", "\x1b[33mwarn\x1b[0m chunk \x1b[1mvendor.js\x1b[0m is 142 kB"],
  ],
  [
    58,
    "Running tests",
    ["\x1b[32mPASS\x1b[0m cart/totals.test.ts (31 tests)", "\x1b[32mPASS\x1b[0m checkout/address.test.ts (18 tests)", "147 passed, 3 skipped"],
  ],
  [72, "Uploading assets", ["96 files to the edge, 3.1 MB", "cache hit for 81 of them"]],
];

async function tell(url, story, step = 0) {
  const update = (data) => publish(url, { stream: "deployments", type: "deployment_update", id: "storefront-482", data });
  const say = (lines) => publish(url, { stream: "deployments", type: "deployment_log", id: "storefront-482", data: { lines } });
  for (const [progress, stage, lines] of story) {
    await update({ status: progress > 60 ? "deploying" : "building", progress, stage });
    for (const line of lines) {
      await pause(step);
      await say([line]);
    }
  }
}

/** One of each kind that has a page of its own. */
async function entities(url) {
  await tell(url, STORY, 150);
  await publish(url, [
    { stream: "tasks", type: "task_created", id: "review-17", data: { title: "Review pull request 482", executor: "claude-code" } },
    { stream: "tasks", type: "task_update", id: "review-17", data: { status: "running", progress: 60 } },
    {
      stream: "tasks",
      type: "task_log",
      id: "review-17",
      data: { lines: ["reading 14 changed files", "\x1b[33mnote\x1b[0m totals are rounded twice in cart/totals.ts:41"] },
    },
    {
      stream: "tasks",
      type: "task_result",
      id: "review-17",
      data: { status: "completed", progress: 100, result: { approved: true, comments: 2, files: ["cart/totals.ts", "cart/totals.test.ts"] } },
    },
  ]);
}

/** Clients of all protocols. */
function clients(t, url) {
  const sockets = [
    "/ws?token=alice-01",
    "/ws?token=alice-01",
    "/ws?token=bruno-02",
    "/api/v1/ws/connect",
    "/?deploymentId=storefront-482",
    "/?deploymentId=storefront-482",
    "/?token=default-token&containerID=build-7",
    "/?token=default-token&containerID=build-7",
  ];
  for (const path of sockets) {
    const socket = new WebSocket(url.replace("http", "ws") + path);
    socket.on("error", () => {});
    t.after(() => socket.terminate());
  }
  const agent = new WebSocket(`${url.replace("http", "ws")}/api/ws`, { headers: { "X-Agent-Id": "mac-agent-1" } });
  agent.on("error", () => {});
  agent.on("open", () =>
    agent.send(JSON.stringify({ type: "agent-status", agentId: "mac-agent-1", status: "online", capabilities: ["git", "npm", "docker"] })),
  );
  t.after(() => agent.terminate());
}

/** The servers of a mood, and what is played into them. */
const MOODS = {
  empty: async (t) => (await start(t)).url,
  busy: async (t) => {
    const redis = await startRedis(t);
    const { url } = await two(t, redis);
    await command(t, url, "demo", "--rate", "60", "--for", "12s");
    await entities(url);
    await redis.command("XADD", "fanfare:deployments", "*", "type", "deployment_update", "id", "billing-api-90", "data", '{"status":"building"');
    await redis.command("XADD", "fanfare:agents", "*", "type", "alert", "id", "disk-7", "data", '{"severity":"fatal","title":"Disk is full"}');
    command(t, url, "demo", "--rate", "1000").catch(() => {});
    return url;
  },
  degraded: async (t) => {
    const redis = await startRedis(t);
    const { url } = await two(t, redis);
    await command(t, url, "demo", "--rate", "40", "--for", "8s");
    await entities(url);
    return [url, () => redis.stop()];
  },
  closed: async (t) => (await start(t, { env: { ENVIRONMENT: "production", HOST: "127.0.0.1", JWT_SECRET: "nobody-knows-this-one-before-the-test" } })).url,
};

/** Two nodes on one Redis and one database; the first one's address. */
async function two(t, redis) {
  const home = folder(t);
  const env = { REDIS_URL: redis.url, DATABASE_URL: (await startPostgres(t)).url };
  const nodes = [await start(t, { home, env }), await start(t, { home, env })];
  for (const { url } of nodes) clients(t, url);
  return nodes[0];
}

async function settled(page) {
  await page.locator(".own-state, .login").waitFor();
  await page.locator(".skeleton").first().waitFor({ state: "detached" });
  await pause(700);
}

/** Every page of a server in one look; the names of the files. */
async function album(t, url, mood, look, options, before) {
  const page = await open(t, `${url}/console`, options);
  if (mood !== "closed") await page.locator(".own-state", { hasText: "Connected" }).waitFor();
  if (mood === "busy") await pause(8000); // Rates need two measurements, a chart some more.
  await before?.();
  if (before) await page.locator(".own-state", { hasText: "Degraded" }).waitFor({ timeout: 60_000 });
  const files = [];
  for (const [name, path] of chosen(PAGES, mood === "closed" ? "overview" : process.env.PAGES)) {
    // A link, not a load: what a page shows when nothing answers is what it has.
    await page.evaluate((href) => (history.pushState(null, "", href), dispatchEvent(new PopStateEvent("popstate"))), `/console${path}`);
    await settled(page);
    const file = join(OUT, `${mood}-${look}-${name}.png`);
    const { scrollHeight } = await page.evaluate(() => ({ scrollHeight: document.documentElement.scrollHeight }));
    const { width, height } = options.viewport;
    await page.screenshot({ path: file, fullPage: true, clip: { x: 0, y: 0, width, height: Math.min(scrollHeight, height * 1.6) } });
    files.push(file);
  }
  for (const complaint of page.complaints) t.diagnostic(`${mood} ${look}: ${complaint}`);
  await sheet(t, `${mood}-${look}`, files, options.viewport.width > 600 ? [640, 3] : [320, 7]);
  await page.context().close();
}

/** All pictures of an album side by side. */
async function sheet(t, name, files, [width, columns]) {
  const images = files.map((file) => `<img width="${width}" src="data:image/png;base64,${readFileSync(file).toString("base64")}">`);
  const page = await open(t, "about:blank", { viewport: { width: columns * (width + 12) + 12, height: 600 } });
  await page.setContent(
    `<body style="margin:12px;background:#888;display:grid;grid-template-columns:repeat(${columns},${width}px);gap:12px;align-items:start">${images.join("")}`,
  );
  await page.screenshot({ path: join(OUT, `sheet-${name}.png`), fullPage: true });
  await page.context().close();
}

test("every page in every mood and look", { skip: FOR_README, timeout: 1_800_000 }, async (t) => {
  mkdirSync(OUT, { recursive: true });
  for (const [mood, begin] of chosen(MOODS, process.env.MOODS)) {
    const server = await begin(t);
    let [url, before] = [].concat(server);
    for (const [look, options] of chosen(LOOKS, process.env.LOOKS)) {
      await album(t, url, mood, look, options, before);
      if (before) [url, before] = await begin(t);
    }
  }
});

/** What the page shows, as WebP. */
async function picture(page, name, clip) {
  const session = await page.context().newCDPSession(page);
  const { data } = await session.send("Page.captureScreenshot", { format: "webp", quality: 84, ...(clip && { clip: { ...clip, scale: 1 } }) });
  const file = join(README, `${name}.webp`);
  writeFileSync(file, Buffer.from(data, "base64"));
  return Math.ceil(statSync(file).size / 1024);
}

/** What `fanfare watch` writes to a terminal until it is through three quarters of its story. */
async function recording(t, url, [columns, rows]) {
  const watch = `stty cols ${columns} rows ${rows}; exec '${binary}' watch deployment:storefront-482`;
  const child = spawn("script", ["-qfc", watch, "/dev/null"], {
    env: { ...process.env, FANFARE_URL: url, TERM: "xterm-256color" },
    stdio: ["ignore", "pipe", "ignore"],
  });
  t.after(() => child.kill("SIGKILL"));
  let written = "";
  child.stdout.on("data", (part) => (written += part));
  await pause(800);
  await tell(url, STORY, 260);
  await until(() => written.includes("cache hit"), "the last line is shown");
  await pause(400);
  return written;
}

async function terminal(t, url) {
  const size = [96, 15];
  const written = await recording(t, url, size);
  const page = await open(t, "about:blank", { viewport: { width: 1000, height: 460 }, deviceScaleFactor: 1 });
  const { resolve } = createRequire(import.meta.url);
  await page.addStyleTag({ path: resolve("@xterm/xterm/css/xterm.css") });
  await page.addScriptTag({ path: resolve("@xterm/xterm/lib/xterm.js") });
  const clip = await page.evaluate(
    async ([written, [cols, rows]]) => {
      document.body.style.cssText = "margin:0;background:#11171a";
      const box = document.body.appendChild(document.createElement("div"));
      box.style.cssText = "display:inline-block;padding:18px 22px";
      const theme = {
        background: "#11171a",
        foreground: "#e6e8e6",
        cursor: "#11171a",
        black: "#333b3f",
        red: "#ef8a80",
        green: "#84cfa3",
        yellow: "#e3c07a",
        blue: "#86b6e8",
        magenta: "#d29ddb",
        cyan: "#6fcfc9",
        white: "#e6e8e6",
        brightBlack: "#8a9599",
      };
      const terminal = new globalThis.Terminal({
        cols,
        rows,
        fontSize: 14,
        lineHeight: 1.25,
        fontFamily: "DejaVu Sans Mono, monospace",
        theme,
        cursorBlink: false,
      });
      terminal.open(box);
      await new Promise((done) => terminal.write(`\u001b[2m$\u001b[0m fanfare watch deployment:storefront-482\r\n${written}`, done));
      await new Promise((done) => setTimeout(done, 500));
      const { width, height } = box.getBoundingClientRect();
      return { x: 0, y: 0, width, height };
    },
    [written, size],
  );
  return picture(page, "watch", clip);
}

/** Somebody looks after the alerts, all but the last few. */
async function acknowledged(t, url) {
  const look = async () => {
    const { alerts } = await (await fetch(`${url}/api/cockpit/alerts?acknowledged=false`)).json();
    for (const { id } of alerts.slice(2)) await fetch(`${url}/api/cockpit/alerts/ack/${id}`, { method: "POST" });
  };
  const timer = setInterval(() => look().catch(() => {}), 500);
  t.after(() => clearInterval(timer));
}

test("the picture of the terminal", { skip: !FOR_README, timeout: 60_000 }, async (t) => {
  mkdirSync(README, { recursive: true });
  const { url } = await start(t);
  t.diagnostic(`KB: ${await terminal(t, url)}`);
});

test("the pictures of the README", { skip: !FOR_README, timeout: 300_000 }, async (t) => {
  mkdirSync(README, { recursive: true });
  const sizes = {};
  const { url } = await start(t);
  clients(t, url);
  command(t, url, "demo", "--rate", "60").catch(() => {});
  await acknowledged(t, url);
  const page = await open(t, `${url}/console`, { viewport: { width: 1200, height: 780 } });
  const both = async (name) => {
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await settled(page);
      sizes[`${name}-${colorScheme}`] = await picture(page, `${name}-${colorScheme}`);
    }
  };
  await pause(Number(process.env.CHART_MS ?? 150_000)); // The chart has something to show.
  await both("overview");
  await page.goto(`${url}/console/deployments/storefront-482`);
  await tell(url, STORY, 900);
  await both("deployment");
  t.diagnostic(`KB: ${JSON.stringify(sizes)}`);
});
