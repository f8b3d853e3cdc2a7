import { describe, expect, it, vi } from "vitest";
import { backoff } from "../src/backoff.ts";
import { Emitter } from "../src/emitter.ts";
import { type EventFrame, fold, type Json } from "../src/index.ts";
import { dataLines } from "../src/wire.ts";

function event(type: string, data: Json, at = 0): EventFrame {
  return { type: "event", channel: "x", position: "0-1", event: type, id: "x", data, at, recorded: at };
}

describe("the fold", () => {
  it("stamps messages of a deployment and lets given logs replace the list first", () => {
    const state = fold<Json>(null, event("deployment_update", { message: "one" }));
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
  it("are cut out of chunks wherever these end", () => {
    const seen: string[] = [];
    const read = dataLines((value) => void seen.push(value.trim()));
    for (const part of [": hello\n\nid: 1\nda", 'ta: {"a":', "1}\r\n", "\r", "\ndata: x\n\n"]) read(part);
    expect(seen).toEqual(['{"a":1}', "x"]);
  });
});

describe("back-off", () => {
  it("is full jitter between its bounds", () => {
    expect(backoff(1, 500, 20_000, () => 1)).toBe(1000);
    expect(backoff(10, 500, 20_000, () => 1)).toBe(20_000);
    expect(backoff(10, 500, 20_000, () => 0)).toBe(500);
  });
});
