import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { Agent, type AgentOptions, FanfareError, type Job } from "../src/agent.ts";

type Frame = Record<string, unknown> & { type: string };

/** A server that speaks the agents' frames, one conversation at a time. */
class Double {
  readonly #server = new WebSocketServer({ port: 0, host: "127.0.0.1", handleProtocols: () => "fanfare.v1" });
  readonly heard: Frame[] = [];
  socket: WebSocket | null = null;
  connections = 0;
  limits: object = {};
  /** It takes connections and says nothing. */
  silent = false;

  constructor() {
    this.#server.on("connection", (socket) => {
      if (this.silent) return;
      this.socket = socket;
      this.connections += 1;
      socket.on("message", (text) => {
        const frame = JSON.parse(String(text)) as Frame;
        this.heard.push(frame);
        if (frame.type === "agent-status") this.say({ type: "ack" });
      });
      this.say({ type: "welcome", connection: "c", user: "a", ping_ms: 25_000, version: "test", limits: this.limits });
    });
  }

  async listening(): Promise<this> {
    await new Promise<void>((done) => this.#server.once("listening", done));
    return this;
  }

  get url(): string {
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}`;
  }

  say(frame: object): void {
    this.socket?.send(JSON.stringify(frame));
  }

  /** What was said of a type, in order. */
  of(type: string): Frame[] {
    return this.heard.filter((frame) => frame.type === type);
  }

  close(): void {
    this.socket?.terminate();
    this.#server.close();
  }
}

const until = vi.waitUntil;
let double: Double;
let agents: Agent[] = [];

beforeEach(async () => void (double = await new Double().listening()));
afterEach(() => {
  for (const agent of agents) agent.stop();
  agents = [];
  double.close();
});

async function running(options: Partial<AgentOptions> & Pick<AgentOptions, "handler">): Promise<Agent> {
  const agent = new Agent(double.url, { WebSocket: WebSocket as never, minReconnectDelay: 5, maxReconnectDelay: 20, ...options });
  agents.push(agent);
  void agent.run().catch(() => {});
  await until(() => double.of("agent-status").length === 1);
  return agent;
}

const task = (attempt: number, more: object = {}): object => ({
  type: "task",
  taskId: "t1",
  taskType: "codex",
  payload: { n: 2 },
  attempt,
  graceMs: 30_000,
  ...more,
});

it("says what it can, accepts, reports and answers, and leaves with a word", async () => {
  const agent = await running({
    capabilities: ["build"],
    slots: 2,
    metadata: { os: "linux" },
    handler: (job) => {
      job.log("one", "two");
      job.progress(0.5, "half");
      return { sum: Number(job.payload.n) + Number(job.dependencies[0]?.result), type: job.type };
    },
  });
  expect(double.of("agent-status")[0]).toMatchObject({
    status: "online",
    capabilities: ["build"],
    metadata: { os: "linux", slots: 2, accepts: true, cancels: true, running: [] },
  });
  double.say(task(1, { dependencies: [{ taskId: "t0", result: 3 }] }));
  await until(() => double.of("task-result").length === 1);
  expect(double.heard.slice(1).map(({ type, taskId, attempt }) => [type, taskId, attempt])).toEqual(
    ["task-accept", "task-log", "task-progress", "task-result"].map((type) => [type, "t1", 1]),
  );
  expect(double.of("task-result")[0]).toMatchObject({ status: "completed", result: { sum: 5, type: "codex" } });
  agent.stop();
  await until(() => double.of("agent-status").some(({ status }) => status === "offline"));
});

it("answers with the failure of a handler that throws, and with one for a result that is too large", async () => {
  double.limits = { frame_bytes: 9000 };
  const handler = vi.fn().mockRejectedValueOnce(new Error("no disk")).mockResolvedValueOnce("x".repeat(10_000));
  await running({ handler });
  double.say(task(1));
  await until(() => double.of("task-result").length === 1);
  double.say({ type: "task-recorded", taskId: "t1", attempt: 1 });
  double.say(task(2));
  await until(() => double.of("task-result").length === 2);
  expect(double.of("task-result").map(({ status, result }) => [status, result])).toEqual([
    ["failed", { error: "no disk" }],
    ["failed", { error: "too_large" }],
  ]);
});

it("sends a result again until it is recorded, and begins nothing twice", async () => {
  const handler = vi.fn(() => 7);
  await running({ handler });
  double.say(task(1));
  await until(() => double.of("task-result").length === 1);
  double.socket?.terminate();
  await until(() => double.of("task-result").length === 2);
  expect(double.of("agent-status")[1]).toMatchObject({ metadata: { running: [{ taskId: "t1", attempt: 1 }] } });
  double.say(task(1));
  await until(() => double.of("task-result").length === 3);
  expect(handler).toHaveBeenCalledTimes(1);
  double.say({ type: "task-recorded", taskId: "t1", attempt: 1 });
  double.socket?.terminate();
  await until(() => double.of("agent-status").length === 3);
  expect(double.of("agent-status")[2]).toMatchObject({ metadata: { running: [] } });
});

it("stops a cancelled job without a word, and only that attempt", async () => {
  const jobs: Job[] = [];
  await running({ handler: (job) => new Promise((done) => job.signal.addEventListener("abort", done, { once: jobs.push(job) > 0 })) });
  double.say(task(3));
  await until(() => jobs.length === 1);
  double.say({ type: "task-cancel", taskId: "t1", attempt: 2, reason: "stale" });
  double.say({ type: "task-cancel", taskId: "t1", attempt: 3, reason: "cancelled" });
  await until(() => jobs[0]?.cancelled);
  expect(jobs[0]?.cancelled).toBe("cancelled");
  double.say(task(4));
  await until(() => jobs.length === 2);
  expect(double.of("task-result")).toEqual([]);
});

it("may refuse a job before it begins", async () => {
  const handler = vi.fn();
  await running({ handler, refuse: (job) => (job.type === "codex" ? "no codex here" : null) });
  double.say(task(1));
  await until(() => double.of("task-reject").length === 1);
  expect(double.of("task-reject")[0]).toMatchObject({ attempt: 1, reason: "no codex here" });
  expect(handler).not.toHaveBeenCalled();
});

it("pings for a third of the grace, and stops by itself when nothing answers for it", async () => {
  const jobs: Job[] = [];
  await running({ handler: (job) => new Promise((done) => job.signal.addEventListener("abort", done, { once: jobs.push(job) > 0 })) });
  const began = Date.now();
  double.say(task(1, { graceMs: 600 }));
  double.silent = true;
  await until(() => double.of("ping").length > 0, 5000);
  await until(() => jobs[0]?.cancelled, 10_000);
  expect(jobs[0]?.cancelled).toBe("lost");
  expect(Date.now() - began).toBeGreaterThanOrEqual(590);
});

it("ends with the server's refusal", async () => {
  const agent = new Agent(double.url, { WebSocket: WebSocket as never, handler: () => null });
  const over = agent.run();
  await until(() => double.connections === 1);
  double.socket?.close(4003, "not you");
  await expect(over).rejects.toThrow(FanfareError);
});
