import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { WebSocket } from "ws";
import { Fanfare } from "../src/index.ts";
import { Pace } from "../src/pace.ts";
import { Gateway } from "./gateway.ts";

describe("the pace", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("sends what the server allows, in order, and keeps the rest until its time has come", () => {
    const sent: object[] = [];
    const pace = new Pace((frame) => sent.push(frame));
    pace.begin(50);
    for (let n = 0; n < 400; n++) pace.send({ n });
    expect(sent.length).toBe(180);
    vi.advanceTimersByTime(1000);
    expect(sent.length).toBeGreaterThanOrEqual(223);
    expect(sent.length).toBeLessThanOrEqual(226);
    vi.advanceTimersByTime(10_000);
    expect(sent).toEqual(Array.from({ length: 400 }, (_, n) => ({ n })));
  });

  it("sends everything at once to a server that sets no limit", () => {
    const sent: object[] = [];
    const pace = new Pace((frame) => sent.push(frame));
    pace.begin(undefined);
    for (let n = 0; n < 1000; n++) pace.send({ n });
    expect(sent.length).toBe(1000);
  });
});

it("changes from 128 channels to 128 others within the allowance, and has them all", async () => {
  const node = await new Gateway().listen();
  node.limits = { frames_per_second: 50, subscriptions: 128, frame_bytes: 65_536 };
  const client = new Fanfare(node.url, { WebSocket: WebSocket as never });
  const first = Array.from({ length: 128 }, (_, n) => client.subscribe(`task:a${n}`));
  await vi.waitUntil(() => first.every(({ active }) => active), 10_000);
  for (const one of first) one.unsubscribe();
  const second = Array.from({ length: 128 }, (_, n) => client.subscribe(`task:b${n}`));
  await vi.waitUntil(() => second.every(({ active }) => active), 15_000);
  client.close();
  await node.stop();
}, 20_000);
