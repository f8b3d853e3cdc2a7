/** A small platform at work, published from this page: a deployment, a task, an agent, an alert, a container. */

import type { Publication } from "fanfare";
import { client } from "./gateway.ts";

const STEP_MS = 350;

type Step = Publication | Publication[];

const LINES: readonly (readonly [number, string, readonly string[]])[] = [
  [6, "Cloning repository", ["Cloning git@example.com:shop/storefront.git", "HEAD is now at \x1b[33m9f31c20\x1b[0m Cart: totals are kept in cents"]],
  [20, "Installing dependencies", ["\x1b[2mlockfile is up to date\x1b[0m", "\x1b[32m✓\x1b[0m 412 packages in 1.9 s"]],
  [45, "Building project", ["\x1b[36mvite\x1b[0m building for production", "\x1b[32m✓\x1b[0m 318 modules transformed"]],
  [70, "Running tests", ["\x1b[32mPASS\x1b[0m cart/totals.test.ts (31 tests)", "147 passed, 3 skipped"]],
  [90, "Uploading assets", ["96 files to the edge, 3.1 MB"]],
];

/** One run of everything; `n` makes its names its own. */
function* script(n: string): Generator<Step> {
  const of =
    (stream: Publication["stream"], id: string) =>
    (type: string, data: object): Publication =>
      ({ stream, type, id, data }) as Publication;
  const [deployment, task, container] = [of("deployments", `storefront-${n}`), of("tasks", `review-${n}`), of("containers", `build-${n}`)];
  const agent = (data: object): Publication => of("agents", "mac-agent-1")("agent_status", { agentName: "Mac agent", ...data });
  yield [agent({ status: "online", state: "idle", capabilities: ["git", "npm"] }), container("status", { status: "running", message: "started" })];
  yield task("task_created", { title: `Review pull request ${n}`, executor: "codex" });
  for (const [progress, stage, lines] of LINES) {
    yield [
      deployment("deployment_update", { status: progress > 80 ? "deploying" : "building", progress, stage }),
      agent({ status: "busy", state: "working", currentTask: `Review pull request ${n}`, progress }),
      task("task_update", { status: "running", progress }),
    ];
    for (const line of lines) yield [deployment("deployment_log", { lines: [line] }), container("log", { level: "info", message: line })];
  }
  yield {
    stream: "agents",
    type: "alert",
    id: `disk-${n}`,
    data: { severity: "info", title: "Disk of the build machine is 71 % full", source: "mac-agent-1" },
  };
  yield [
    deployment("deployment_update", { status: "success", progress: 100, stage: "Complete", deploymentUrl: `https://storefront-${n}.example.com` }),
    task("task_result", { status: "completed", result: { approved: true, comments: 2 } }),
    container("complete", { exitCode: 0, duration: 8 }),
    agent({ status: "online", state: "idle" }),
  ];
}

/** Plays until its end or until it is stopped. */
export async function playDemo(stop: AbortSignal, count: (events: number) => void): Promise<void> {
  for (const step of script(String(Date.now() % 10_000))) {
    if (stop.aborted) return;
    const events = Array.isArray(step) ? step : [step];
    await client.publish(events);
    count(events.length);
    await new Promise((wake) => setTimeout(wake, STEP_MS));
  }
}
