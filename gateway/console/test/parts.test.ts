import { describe, expect, it } from "vitest";
import { ago, count, decimal, duration } from "../src/format.ts";
import { plain, runs } from "../src/log/ansi.ts";

describe("terminal colours", () => {
  it("become runs with class names, and end where they end", () => {
    expect(runs("\x1b[1;32mok\x1b[0m done")).toEqual([
      { text: "ok", style: "bold fg-2" },
      { text: " done", style: "" },
    ]);
    expect(runs("\x1b[38;5;9mred\x1b[39m\x1b[48;2;1;2;3mx")).toEqual([
      { text: "red", style: "fg-9" },
      { text: "x", style: "bg-any", bg: "rgb(1 2 3)" },
    ]);
    expect(runs("\x1b[38;5;208mo\x1b[38;5;244mg")).toEqual([
      { text: "o", style: "fg-any", fg: "rgb(255 135 0)" },
      { text: "g", style: "fg-any", fg: "rgb(128 128 128)" },
    ]);
    expect(runs("\x1b[91ma\x1b[22;2mb")).toEqual([
      { text: "a", style: "fg-9" },
      { text: "b", style: "dim fg-9" },
    ]);
  });

  it("never let other escapes or control characters through", () => {
    expect(plain("\x1b[2K\x1b]0;title\x07\x1b[?25lline\x08\x1b")).toBe("line");
    expect(runs("a\x1b[2Jb")).toEqual([
      { text: "a", style: "" },
      { text: "b", style: "" },
    ]);
  });
});

describe("words for numbers", () => {
  it("are short and exact where that matters", () => {
    expect([0.4, 12, 999, 1000, 1234, 61_000, 3_725_000, 90_000_000].map(duration)).toEqual([
      "400 µs",
      "12 ms",
      "999 ms",
      "1.0 s",
      "1.2 s",
      "1 min 1 s",
      "1 h 2 min",
      "1 d 1 h",
    ]);
    expect([0, 999, 9999, 12_345, 1_200_000].map(count)).toEqual(["0", "999", "9,999", "12.3K", "1.2M"]);
    expect([0, 0.04, 3.14, 42].map(decimal)).toEqual(["0", "0.0", "3.1", "42"]);
    expect([0, 12_000, 240_000, 7_200_000].map((past) => ago(1e12 - past, 1e12))).toEqual(["just now", "12 s ago", "4 min ago", "2 h ago"]);
  });
});
