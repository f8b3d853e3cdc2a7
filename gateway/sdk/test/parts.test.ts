import { describe, expect, it, vi } from "vitest";
import { backoff } from "../src/backoff.ts";
import { Emitter } from "../src/emitter.ts";
import { covers, distance, type EventFrame, fold, type Json } from "../src/index.ts";
import { lines } from "../src/wire.ts";

function event(type: string, data: Json, at = 0): EventFrame {
  return { type: "event", channel: "x", position: "0-1", event: type, id: "x", data, at, recorded: at };
}

describe("positions", () => {
  it("covers what it saw, source by source, within its epoch", () => {
    expect(covers("tasks", "a-5", "a-5")).toBe(true);
    expect(covers("tasks", "a-10", "a-9")).toBe(true);
    expect(covers("tasks", "a-9", "a-10")).toBe(false);
    expect(covers("tasks", "a-9", "b-1")).toBe(false);
    expect(covers("tasks", null, "a-1")).toBe(false);
    expect(covers("user:u", "a-m.5,t.2", "a-t.2")).toBe(true);
    expect(covers("user:u", "a-m.5,t.2", "a-m.5,t.3")).toBe(false);
    expect(covers("user:u", "a-m.5,t.2", "a-5")).toBe(true);
    expect(covers("deployment:d", "a-7", "a-d.7")).toBe(true);
  });

  it("counts what a gap swallowed, where that can be counted", () => {
    expect(distance("tasks", "a-3", "a-314")).toBe(312);
    expect(distance("tasks", "a-3", "b-4")).toBeNull();
  });
});

describe("the fold", () => {
  it("stamps messages of a deployment and lets given logs replace the list first", () => {
    const state = fold(null, event("deployment_update", { message: "one" }));
    expect(state).toEqual({
      id: "x",
      projectId: "x",
      status: "pending",
      progress: 0,
      stage: "Initializing",
      timestamp: 0,
      message: "one",
      logs: ["[1970-01-01T00:00:00.000Z] one"],
    });
    expect(fold(state, event("deployment_update", { logs: ["x"], message: "two" }))?.logs).toEqual(["x", "[1970-01-01T00:00:00.000Z] two"]);
    expect(fold(state, event("deployment_update", { message: "" }))?.logs).toHaveLength(1);
  });

  it("keeps a hundred lines, and a time that never runs backwards", () => {
    const many = Array.from({ length: 150 }, (_, n) => `${n}`);
    const state = fold<Json>({ timestamp: 5000 }, event("deployment_log", { lines: many }, 4000));
    expect(state?.logs).toHaveLength(100);
    expect(state?.timestamp).toBe(5000);
  });

  it("brings a task from pending to its result", () => {
    let state = fold(null, event("task_created", { title: "Test", id: "no" }, 5000));
    expect(state).toEqual({ id: "x", status: "pending", title: "Test", created_at: 5, updated_at: 5 });
    state = fold(state, event("task_log", { message: "line" }, 6000));
    expect(fold(state, event("task_result", { error: "broken" }, 7000))).toMatchObject({ status: "failed", result: null, logs: ["line"] });
  });

  it("counts a container's lines and ends it by its exit code", () => {
    let state = fold(null, event("log", { message: "a" }));
    state = fold(state, event("complete", { exitCode: 2 }));
    expect(state).toMatchObject({ id: "x", lines: 1, status: "failed", exitCode: 2 });
  });
});

describe("listeners", () => {
  it("that throw keep nobody else from hearing and end no process", () => {
    class Speaker extends Emitter<{ word: string }> {
      say = (word: string): void => this.emit("word", word);
    }
    const reported: unknown[] = [];
    const report = vi.spyOn(console, "error").mockImplementation((error) => void reported.push(error));
    const speaker = new Speaker();
    const heard: string[] = [];
    speaker.on("word", () => {
      throw new Error("a listener's own fault");
    });
    speaker.on("word", (word) => void heard.push(word));
    speaker.say("one");
    expect(heard).toEqual(["one"]);
    expect(String(reported[0])).toContain("own fault");
    report.mockRestore();
  });
});

describe("server-sent events", () => {
  it("are cut out of chunks wherever these end, the id after the data", () => {
    const seen: string[] = [];
    const read = lines((name, value) => void seen.push(`${name}=${value}`));
    for (const part of [": hello\n\nid: 1\nda", 'ta: {"a":', "1}\r\n", "\r", "\ndata: x\n\n"]) read(part);
    expect(seen).toEqual(['data={"a":1}', "id=1", "data=x"]);
  });
});

describe("back-off", () => {
  it("is full jitter between its bounds", () => {
    expect(backoff(1, 500, 20_000, () => 1)).toBe(1000);
    expect(backoff(10, 500, 20_000, () => 1)).toBe(20_000);
    expect(backoff(10, 500, 20_000, () => 0)).toBe(500);
  });
});
