import type { EventFrame } from "fanfare";
import { describe, expect, it } from "vitest";
import { claimsOf, matches } from "../src/credential.ts";
import { stamp } from "../src/format.ts";
import { settled } from "../src/log/ansi.ts";
import { layout, ROW } from "../src/log/layout.ts";
import { append, type Hole, isIn, type Line, type LogRow, rangeOf } from "../src/log/lines.ts";
import { ordinal, positionOf } from "../src/log/position.ts";
import { enter, type Stage } from "../src/log/stages.ts";

const event = (offset: number, type: string, data: Record<string, unknown>): EventFrame => ({
  type: "event",
  channel: "deployment:d",
  position: `e-${offset}`,
  event: type,
  id: "d",
  data,
  at: offset * 1000,
  recorded: offset * 1000,
});

describe("a line of a terminal", () => {
  it("is what stands there when all of it was written", () => {
    expect(settled("10 %\r 50 %\r100 %")).toBe("100 %");
    expect(settled("downloading\rdone")).toBe("doneloading");
    expect(settled("downloading\r\x1b[Kdone")).toBe("done");
    expect(settled("a\x1b[2Kb")).toBe(" b");
    expect(settled("\rnew", "old line")).toBe("new line");
    expect(settled("\x1b[31mred\x1b[0m!\r\x1b[32mg")).toBe("\x1b[0m\x1b[32mg\x1b[0m\x1b[31med\x1b[0m!");
  });
});

describe("lines of events", () => {
  it("are counted within their event, and written over by one that begins with a carriage return", () => {
    const rows: LogRow[] = [];
    append(rows, event(7, "deployment_log", { lines: ["one", "two\r\nthree"] }));
    append(rows, event(8, "deployment_log", { lines: ["\rTHREE"] }));
    append(rows, event(9, "deployment_update", { progress: 3 }));
    expect((rows as Line[]).map(({ text, event, part }) => [text, event, part])).toEqual([
      ["one", 7, 1],
      ["two", 7, 2],
      ["THREE", 8, 1],
    ]);
    const range = rangeOf("L7.2-L8");
    expect((rows as Line[]).map((line) => isIn(range, line))).toEqual([false, true, true]);
    expect(rangeOf("L9-L2.3")).toEqual({ from: [2, 3], to: [9, 1] });
    expect(rangeOf("token=x")).toBeNull();
  });

  it("stand where their heights put them, and a hole where its events would", () => {
    const rows: LogRow[] = [{ kind: "hole", after: null, until: "e-100", from: 1, to: 100, failure: "" } satisfies Hole];
    append(rows, event(101, "deployment_log", { lines: ["x".repeat(25), "y"] }));
    const { tops, at } = layout(rows, 10, new Set());
    expect([...tops]).toEqual([0, 100 * ROW, 103 * ROW, 104 * ROW]);
    expect([0, 100 * ROW - 1, 100 * ROW, 103 * ROW + 1, 9999 * ROW].map(at)).toEqual([0, 0, 1, 2, 2]);
  });
});

describe("positions", () => {
  it("are numbers of events, also where several streams feed a channel", () => {
    expect([ordinal("e-7"), ordinal("e-d.3,m.4"), ordinal(null)]).toEqual([7, 7, 0]);
    expect([positionOf("e-7", 3), positionOf("e-d.3,m.4", 3)]).toEqual(["e-3", null]);
  });
});

describe("stages", () => {
  it("are the same in whichever order the log is read", () => {
    const events = [
      event(1, "deployment_update", { status: "building", stage: "Clone" }),
      event(2, "deployment_update", { status: "building", stage: "Build" }),
      event(3, "deployment_update", { progress: 50, stage: "Build" }),
      event(4, "deployment_update", { status: "deploying", stage: "Upload" }),
      event(5, "deployment_update", { status: "success" }),
    ];
    const read = (order: EventFrame[]): [string, number, number | null][] =>
      order.reduce<Stage[]>((stages, one) => enter(stages, one), []).map(({ name, from, until }) => [name, from, until]);
    const whole = [
      ["Clone", 1000, 2000],
      ["Build", 2000, 4000],
      ["Upload", 4000, 5000],
    ];
    expect(read(events)).toEqual(whole);
    const [a, b, c, d, e] = events as [EventFrame, EventFrame, EventFrame, EventFrame, EventFrame];
    expect(read([d, e, a, b, c])).toEqual(whole);
  });
});

describe("times and rights", () => {
  it("are told from the start, with their sign", () => {
    expect([stamp(61_500, "relative", 0), stamp(3_600_000, "relative", 0), stamp(0, "relative", 1000)]).toEqual(["+1:01.5", "+1:00:00.0", "−0:01.0"]);
    expect(stamp(0, "utc", 0)).toMatch(/^0?1 Jan, 00:00:00$/);
  });

  it("follow the patterns of a token", () => {
    const token = `x.${Buffer.from(JSON.stringify({ sub: "ü", channels: ["deployment:*"] })).toString("base64url")}.y`;
    expect(claimsOf(token)?.sub).toBe("ü");
    expect(claimsOf("a-key")).toBeNull();
    expect([matches(["deployment:*"], "deployment:d"), matches(["deployment:d"], "deployment:dd"), matches(["*"], "tasks")]).toEqual([true, false, true]);
  });
});
