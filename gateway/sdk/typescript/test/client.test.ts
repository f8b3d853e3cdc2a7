import { afterEach, describe, expect, it, vi } from "vitest";
import { WebSocket } from "ws";
import { type EventFrame, Fanfare, type FanfareOptions, type GapFrame, type Publication, type Subscribed } from "../src/index.ts";
import { BYE, Gateway } from "./gateway.ts";

const running: { stop(): Promise<void> }[] = [];
const clients: Fanfare[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await Promise.all(running.splice(0).map((gateway) => gateway.stop()));
});

async function gateway(record?: Gateway): Promise<Gateway> {
  const node = await new Gateway(record?.channels).listen();
  running.push(node);
  return node;
}

function client(url: string, options: FanfareOptions = {}): Fanfare {
  const made = new Fanfare(url, { WebSocket: WebSocket as never, minReconnectDelay: 5, maxReconnectDelay: 50, ...options });
  clients.push(made);
  return made;
}

/** The numbers that a subscription's events carry, in order of arrival. */
function numbers(subscription: { on(what: "event", listener: (event: { data: unknown }) => void): unknown }): number[] {
  const seen: number[] = [];
  subscription.on("event", ({ data }) => void seen.push((data as { n: number }).n));
  return seen;
}

const until = vi.waitUntil;

describe("subscribing", () => {
  it("loses no event to a fold that throws, to a frame that is none, or to a time that is no date", async () => {
    const node = await gateway();
    const channel = client(node.url).subscribe("deployment:odd");
    const seen: string[] = [];
    const errors: string[] = [];
    channel.on("event", ({ position }) => void seen.push(position));
    channel.on("error", (error) => void errors.push(String(error)));
    await until(() => channel.active);
    const frame = node.publish("deployment:odd", "deployment_update", { message: "one" });
    const at = (offset: number): string => frame.position.replace(/\d+$/, String(offset));
    node.say([]);
    node.say({ ...frame, position: at(2), at: 1795784289609000000, recorded: 1795784289609000000 });
    node.say({ ...frame, position: at(3), data: null });
    node.say({ ...frame, position: at(4) });
    await until(() => seen.length === 4);
    expect(seen).toEqual([1, 2, 3, 4].map(at));
    expect(errors).toHaveLength(1);
    expect(channel.state).toBeNull();
  });

  it("gives the state first, then folds each event into it as the server does", async () => {
    const node = await gateway();
    node.publish("deployment:d1", "deployment_update", { status: "building", progress: 20, message: "go" });
    const deployment = client(node.url).subscribe("deployment:d1");
    await until(() => deployment.active);
    expect(deployment.state).toMatchObject({ status: "building", progress: 20 });
    node.publish("deployment:d1", "deployment_update", { progress: 60 });
    node.publish("deployment:d1", "deployment_log", { lines: ["a", "b"] });
    await until(() => deployment.state?.logs.length === 3);
    expect(deployment.state).toEqual(node.channels.get("deployment:d1")?.state);
  });

  it("gives the tail to those who asked for it, marked as such", async () => {
    const node = await gateway();
    for (let n = 1; n <= 5; n++) node.publish("container:c", "log", { message: `${n}`, n });
    const subscription = client(node.url).subscribe<string>("container:c", { tail: 3 });
    const seen: EventFrame[] = [];
    subscription.on("event", (event) => void seen.push(event));
    await until(() => seen.length === 3);
    expect(seen.map(({ data, tail }) => [data.n, tail])).toEqual([
      [3, true],
      [4, true],
      [5, true],
    ]);
    expect(subscription.state?.lines).toBe(5);
  });

  it("tells a reader that comes late what the others know, and reads its tail from the archive", async () => {
    const node = await gateway();
    for (let n = 1; n <= 5; n++) node.publish("task:t", "task_log", { message: `${n}`, n });
    const fanfare = client(node.url);
    const first = fanfare.subscribe("task:t");
    await until(() => first.active);
    const late = fanfare.subscribe("task:t", { tail: 2 });
    const seen = numbers(late);
    await until(() => seen.length === 2);
    node.publish("task:t", "task_log", { message: "6", n: 6 });
    await until(() => seen.length === 3);
    expect(seen).toEqual([4, 5, 6]);
    expect(late.state).toEqual(first.state);
    expect(node.heard.filter(({ type }) => type === "subscribe")).toHaveLength(1);
  });

  it("ends with the last reader of a channel", async () => {
    const node = await gateway();
    const fanfare = client(node.url);
    const [one, two] = [fanfare.subscribe("tasks"), fanfare.subscribe("tasks")];
    await until(() => two.active);
    one.unsubscribe();
    two.unsubscribe();
    await until(() => node.heard.some(({ type }) => type === "unsubscribe"));
    expect(node.heard.filter(({ type }) => type === "unsubscribe")).toHaveLength(1);
  });

  it("tells the channel's reader when it is refused, and stays connected", async () => {
    const node = await gateway();
    const fanfare = client(node.url);
    const refused = vi.fn();
    fanfare.subscribe<string>("secret").on("error", refused);
    await until(() => refused.mock.calls.length > 0);
    expect(refused.mock.calls[0]?.[0]).toMatchObject({ code: "forbidden", terminal: false });
    expect(fanfare.state).toBe("connected");
  });

  it("iterates until it is unsubscribed", async () => {
    const node = await gateway();
    const fanfare = client(node.url);
    const controller = new AbortController();
    const subscription = fanfare.subscribe("broadcast", { signal: controller.signal });
    await until(() => subscription.active);
    const seen: unknown[] = [];
    const loop = (async () => {
      for await (const item of subscription) {
        seen.push(item.type === "event" ? item.data.n : item.type);
        if (seen.length === 3) controller.abort();
      }
    })();
    for (let n = 1; n <= 3; n++) node.publish("broadcast", "system", { message: "x", n });
    await loop;
    expect(seen).toEqual([1, 2, 3]);
  });

  it("says a gap to an iterator that is too slow, instead of growing without bound", async () => {
    const node = await gateway();
    const subscription = client(node.url).subscribe("broadcast", { buffer: 2 });
    await until(() => subscription.active);
    const items = subscription[Symbol.asyncIterator]();
    const first = items.next();
    node.publish("broadcast", "system", { n: 1 });
    await first;
    for (let n = 2; n <= 4; n++) node.publish("broadcast", "system", { n });
    await until(() => subscription.position === "0000000a-4");
    expect((await items.next()).value).toMatchObject({ type: "gap", cause: "buffer", from: "0000000a-2", to: "0000000a-3" });
    expect((await items.next()).value).toMatchObject({ type: "event", position: "0000000a-4" });
  });
});

describe("coming back", () => {
  it("misses nothing and repeats nothing after a cut", async () => {
    const node = await gateway();
    const fanfare = client(node.url);
    const subscription = fanfare.subscribe("deployment:d1");
    const seen = numbers(subscription);
    const resumed: Subscribed<unknown>[] = [];
    subscription.on("subscribed", (value) => void resumed.push(value));
    await until(() => subscription.active);
    node.repeat(node.publish("deployment:d1", "deployment_update", { n: 1 }));
    await until(() => seen.length === 1);
    node.cut();
    for (let n = 2; n <= 4; n++) node.publish("deployment:d1", "deployment_update", { n });
    await until(() => seen.length === 4);
    expect(seen).toEqual([1, 2, 3, 4]);
    expect(resumed.map(({ recovered }) => recovered)).toEqual([false, true]);
    expect(subscription.state).toEqual(node.channels.get("deployment:d1")?.state);
  });

  it("backs off with growing, jittered delays while nobody listens", async () => {
    const fanfare = client("http://127.0.0.1:9", { transport: "websocket" });
    const attempts: number[] = [];
    fanfare.on("reconnecting", ({ attempt, delay }) => {
      attempts.push(attempt);
      expect(delay).toBeGreaterThanOrEqual(5);
      expect(delay).toBeLessThanOrEqual(50);
    });
    fanfare.connect();
    await until(() => attempts.length >= 5);
    expect(attempts.slice(0, 5)).toEqual([1, 2, 3, 4, 5]);
    expect(fanfare.state).toBe("connecting");
  });

  it("passes on what retention took as a gap, with the state that follows", async () => {
    const node = await gateway();
    const subscription = client(node.url).subscribe("deployment:d1");
    await until(() => subscription.active);
    const gaps: GapFrame[] = [];
    subscription.on("gap", (gap) => void gaps.push(gap));
    node.cut();
    for (let n = 1; n <= 10; n++) node.publish("deployment:d1", "deployment_update", { n });
    node.trim("deployment:d1", 4);
    const seen = numbers(subscription);
    await until(() => seen.length === 4);
    expect(gaps).toMatchObject([{ from: "0000000a-1", to: "0000000a-6", cause: "retention" }]);
    expect(seen).toEqual([7, 8, 9, 10]);
  });

  it("goes on from the new numbers when the database was replaced", async () => {
    const node = await gateway();
    for (let n = 1; n <= 5; n++) node.publish("tasks", "task_update", { n });
    const subscription = client(node.url).subscribe("tasks");
    await until(() => subscription.position === "0000000a-5");
    const gaps: GapFrame[] = [];
    const resumed: boolean[] = [];
    subscription.on("gap", (gap) => void gaps.push(gap));
    subscription.on("subscribed", ({ recovered }) => void resumed.push(recovered));
    node.cut();
    node.epoch = "0000000b";
    node.channels.clear();
    node.publish("tasks", "task_update", { n: 1 });
    await until(() => gaps.length === 1);
    expect(gaps[0]?.cause).toBe("epoch");
    expect(resumed).toEqual([false]);
    const seen = numbers(subscription);
    node.publish("tasks", "task_update", { n: 2 });
    await until(() => seen.length === 1);
    expect(subscription.position).toBe("0000000b-2");
  });

  it("goes on when it was ahead of a server that lost something", async () => {
    const node = await gateway();
    node.publish("tasks", "task_update", { n: 1 });
    const subscription = client(node.url).subscribe("tasks", { since: "0000000a-9" });
    const seen = numbers(subscription);
    const causes: string[] = [];
    subscription.on("gap", ({ cause }) => void causes.push(cause));
    await until(() => causes.length === 1);
    node.publish("tasks", "task_update", { n: 2 });
    await until(() => seen.length === 1);
    expect([causes, seen]).toEqual([["ahead"], [2]]);
  });

  it("connects elsewhere before it leaves a server that says bye", async () => {
    const node = await gateway();
    const fanfare = client(node.url);
    const subscription = fanfare.subscribe("deployment:d1");
    const states: string[] = [];
    await until(() => subscription.active);
    fanfare.on("state", (state) => void states.push(state));
    const seen = numbers(subscription);
    node.publish("deployment:d1", "deployment_update", { n: 1 });
    node.say(BYE);
    node.publish("deployment:d1", "deployment_update", { n: 2 });
    await until(() => node.welcomed === 2 && node.sockets.size === 1);
    node.publish("deployment:d1", "deployment_update", { n: 3 });
    await until(() => seen.length === 3);
    expect(seen).toEqual([1, 2, 3]);
    expect(states).toEqual([]);
  });

  it("is served while it tries again, if a balancer leads back to the server that is leaving", async () => {
    const node = await gateway();
    const fanfare = client(node.url);
    const subscription = fanfare.subscribe("deployment:d1");
    await until(() => subscription.active);
    const seen = numbers(subscription);
    const states: string[] = [];
    const delays: number[] = [];
    fanfare.on("state", (state) => void states.push(state));
    fanfare.on("reconnecting", ({ attempt, delay }) => void delays.push(attempt === 0 ? delay : -1));
    node.leaving = 2;
    node.say(BYE);
    for (let n = 1; node.welcomed < 4; n++) {
      node.publish("deployment:d1", "deployment_update", { n });
      await until(() => seen.length === n);
    }
    await until(() => node.sockets.size === 1);
    expect(states).toEqual([]);
    expect(seen).toEqual(seen.map((_, index) => index + 1));
    expect(delays).toHaveLength(3);
    expect(delays[0]).toBeLessThanOrEqual(20);
    expect(Math.min(...delays.slice(1))).toBeGreaterThanOrEqual(5);
  });

  it("finds a server that says nothing any more", async () => {
    const node = await gateway();
    node.pingMs = 40;
    const fanfare = client(node.url);
    const lost: number[] = [];
    fanfare.on("disconnected", ({ code }) => void lost.push(code));
    fanfare.connect();
    await until(() => fanfare.state === "connected");
    await until(() => node.heard.filter(({ type }) => type === "ping").length >= 3);
    expect(lost).toEqual([]);
    node.silent = true;
    await until(() => lost.length > 0);
    expect(lost[0]).toBe(4008);
  });
});

describe("close codes and tokens", () => {
  it.each([1000, 4003])("stays away after %i", async (code) => {
    const node = await gateway();
    const fanfare = client(node.url);
    const errors: unknown[] = [];
    fanfare.on("error", (error) => void errors.push(error.code, error.terminal));
    fanfare.connect();
    await until(() => fanfare.state === "connected");
    node.close(code);
    await until(() => fanfare.state === "disconnected");
    expect(errors).toEqual([code, true]);
  });

  it.each([1001, 1002, 1008, 1009, 1011, 1012, 1013, 4008, 4009])("comes back after %i", async (code) => {
    const node = await gateway();
    const fanfare = client(node.url).connect();
    await until(() => fanfare.state === "connected");
    node.close(code);
    await until(() => node.welcomed === 2);
  });

  it("tells a token beside the address, never in it", async () => {
    const node = await gateway();
    node.tokens = new Set(["secret"]);
    const fanfare = client(node.url, { token: "secret" }).connect();
    await until(() => fanfare.state === "connected");
    expect(node.asked).toEqual(["/v1/connect"]);
  });

  it("asks for a new token once when its own is refused", async () => {
    const node = await gateway();
    node.tokens = new Set(["new"]);
    const getToken = vi.fn().mockResolvedValueOnce("old").mockResolvedValue("new");
    const fanfare = client(node.url, { getToken }).connect();
    await until(() => fanfare.state === "connected");
    expect(getToken).toHaveBeenCalledTimes(2);
    expect(fanfare.connection?.user).toBe("new");
  });

  it("stops when the new token is refused too", async () => {
    const node = await gateway();
    node.tokens = new Set();
    const getToken = vi.fn().mockResolvedValue("wrong");
    const fanfare = client(node.url, { getToken });
    const errors: unknown[] = [];
    fanfare.on("error", (error) => void errors.push([error.code, error.terminal]));
    fanfare.connect();
    await until(() => fanfare.state === "disconnected" && errors.length > 0);
    expect(errors.at(-1)).toEqual([4001, true]);
    expect(getToken).toHaveBeenCalledTimes(2);
  });

  it("stops at once when a fixed token is refused", async () => {
    const node = await gateway();
    node.tokens = new Set();
    const fanfare = client(node.url, { token: "wrong" }).connect();
    await until(() => fanfare.state === "disconnected");
  });

  it("renews a token on the open socket before it ends", async () => {
    const node = await gateway();
    const soon = Math.floor(Date.now() / 1000) + 31;
    const jwt = `x.${btoa(JSON.stringify({ exp: soon })).replace(/=/g, "")}.y`;
    const getToken = vi.fn().mockResolvedValueOnce(jwt).mockResolvedValue("next");
    client(node.url, { getToken }).connect();
    await until(() => node.heard.some(({ type, token }) => type === "token" && token === "next"), { timeout: 5000 });
    expect(node.welcomed).toBe(1);
  });
});

describe("without WebSockets", () => {
  it("falls back to server-sent events and resumes there too", async () => {
    const node = await gateway();
    node.noWebSockets = true;
    const fanfare = client(node.url);
    const subscription = fanfare.subscribe("deployment:d1");
    const seen = numbers(subscription);
    await until(() => subscription.active);
    expect(fanfare.connection?.transport).toBe("sse");
    node.publish("deployment:d1", "deployment_update", { n: 1 });
    await until(() => seen.length === 1);
    node.cut();
    node.publish("deployment:d1", "deployment_update", { n: 2 });
    await until(() => seen.length === 2);
    expect(seen).toEqual([1, 2]);
    expect(subscription.state).toEqual(node.channels.get("deployment:d1")?.state);
  });

  it("begins with a tail and at a position as a socket does", async () => {
    const node = await gateway();
    for (let n = 1; n <= 4; n++) node.publish("container:c", "log", { message: "x", n });
    for (let n = 1; n <= 3; n++) node.publish("tasks", "task_update", { n });
    const fanfare = client(node.url, { transport: "sse" });
    const tail = numbers(fanfare.subscribe("container:c", { tail: 2 }));
    const missed = numbers(fanfare.subscribe("tasks", { since: "0000000a-1" }));
    await until(() => tail.length === 2 && missed.length === 2);
    expect([tail, missed]).toEqual([
      [3, 4],
      [2, 3],
    ]);
  });

  it("takes up another channel without losing the first one's place", async () => {
    const node = await gateway();
    const fanfare = client(node.url, { transport: "sse" });
    const first = fanfare.subscribe("tasks");
    const seen = numbers(first);
    await until(() => first.active);
    node.publish("tasks", "task_update", { n: 1 });
    await until(() => seen.length === 1);
    const second = fanfare.subscribe("agents");
    await until(() => second.active);
    node.publish("tasks", "task_update", { n: 2 });
    node.publish("agents", "agent_status", { n: 2 });
    await until(() => seen.length === 2 && second.position === "0000000a-1");
    expect(seen).toEqual([1, 2]);
  });
});

describe("the rest", () => {
  it("publishes over HTTP and reads its own event", async () => {
    const node = await gateway();
    const fanfare = client(node.url);
    const subscription = fanfare.subscribe("deployment:d1");
    await until(() => subscription.active);
    const answer = await fanfare.publish({ stream: "deployments", type: "deployment_update", id: "d1", data: { progress: 5 } });
    expect(answer.published).toMatchObject([{ channel: "deployment:d1", position: "0000000a-1" }]);
    await until(() => subscription.state?.progress === 5);
    await expect(fanfare.publish({ stream: "deployments", type: "x" } as unknown as Publication)).rejects.toMatchObject({ code: 400, message: "wrong" });
  });

  it("measures the way there and back, and knows when the server is degraded", async () => {
    const node = await gateway();
    const fanfare = client(node.url).connect();
    await until(() => fanfare.state === "connected");
    expect(await fanfare.ping()).toBeGreaterThan(0);
    node.say({ type: "status", degraded: true, reason: "redis" });
    await until(() => fanfare.degraded.degraded);
  });

  it("carries presence", async () => {
    const node = await gateway();
    const fanfare = client(node.url);
    const subscription = fanfare.subscribe("presence");
    const seen: string[] = [];
    subscription.on("presence", ({ status }) => void seen.push(status));
    await until(() => subscription.active);
    fanfare.presence("busy");
    await until(() => seen.length === 1);
    expect(seen).toEqual(["busy"]);
  });
});
