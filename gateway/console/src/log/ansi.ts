/** What terminals make of a line: colours as runs of text, and progress that is written over itself. */

export interface Run {
  text: string;
  /** Class names: `bold dim italic underline fg-3 bg-12 fg-any`; empty for plain text. */
  style: string;
  /** Colours beyond the sixteen that have names. */
  fg?: string;
  bg?: string;
}

const ESCAPE = /\x1b(?:\[([\d;:<=>?]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)|.)?/g;
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f]/g;
const FLAGS: Record<number, string> = { 1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse", 9: "strike" };
const CLEARED: Record<number, string[]> = { 22: ["bold", "dim"], 23: ["italic"], 24: ["underline"], 27: ["inverse"], 29: ["strike"] };

interface Pen {
  flags: Set<string>;
  fg: string;
  bg: string;
}

/** The text without any escape. */
export function plain(line: string): string {
  return line.includes("\x1b") ? line.replace(ESCAPE, "").replace(CONTROL, "") : line;
}

export function runs(line: string): Run[] {
  if (!line.includes("\x1b")) return [{ text: line, style: "" }];
  const result: Run[] = [];
  const pen: Pen = { flags: new Set(), fg: "", bg: "" };
  let from = 0;
  const put = (until: number): void => {
    const text = line.slice(from, until).replace(CONTROL, "");
    if (!text) return;
    const [fg, bg] = [pen.fg, pen.bg].map((colour) => (colour.startsWith("rgb") ? colour : ""));
    const style = [...pen.flags, fg ? "fg-any" : pen.fg, bg ? "bg-any" : pen.bg].filter(Boolean).join(" ");
    result.push({ text, style, ...(fg && { fg }), ...(bg && { bg }) });
  };
  for (const match of line.matchAll(ESCAPE)) {
    put(match.index);
    from = match.index + match[0].length;
    if (match[2] === "m") apply(pen, (match[1] || "0").split(/[;:]/).map(Number));
  }
  put(line.length);
  return result;
}

function apply(pen: Pen, codes: number[]): void {
  for (let at = 0; at < codes.length; at++) {
    const code = codes[at] ?? 0;
    if (code === 0) Object.assign(pen, { flags: new Set(), fg: "", bg: "" });
    else if (FLAGS[code]) pen.flags.add(FLAGS[code]);
    else if (CLEARED[code]) for (const flag of CLEARED[code]) pen.flags.delete(flag);
    else if (code === 38 || code === 48) at += extended(pen, codes, at);
    else if (code === 39) pen.fg = "";
    else if (code === 49) pen.bg = "";
    else {
      const [base, kind, bright] = code >= 100 ? [100, "bg", 8] : code >= 90 ? [90, "fg", 8] : code >= 40 ? [40, "bg", 0] : [30, "fg", 0];
      if (code >= base && code <= base + 7) pen[kind as "fg" | "bg"] = `${kind}-${code - base + bright}`;
    }
  }
}

/** `38;5;N` and `38;2;R;G;B`. */
function extended(pen: Pen, codes: number[], at: number): number {
  const kind = codes[at] === 38 ? "fg" : "bg";
  if (codes[at + 1] === 5) {
    const index = codes[at + 2] ?? 0;
    pen[kind] = index < 16 ? `${kind}-${index}` : palette(index);
    return 2;
  }
  if (codes[at + 1] !== 2) return 0;
  pen[kind] = rgb(codes.slice(at + 2, at + 5));
  return 4;
}

/** The 6×6×6 cube and the 24 greys of the 256 colours. */
function palette(index: number): string {
  if (index >= 232) return rgb(Array(3).fill(8 + (index - 232) * 10));
  const level = (value: number): number => (value === 0 ? 0 : 55 + value * 40);
  const cube = Math.min(215, Math.max(0, index - 16));
  return rgb([Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6].map(level));
}

function rgb(parts: number[]): string {
  return `rgb(${[0, 1, 2].map((at) => Math.min(255, Math.max(0, parts[at] || 0))).join(" ")})`;
}

const MOVES = /\r|\x1b\[[\d;]*[KG]/;

/**
 * A line as it stands when a terminal has written all of it: a carriage return goes back to its
 * beginning, and what follows is written over it.
 */
export function settled(line: string, before = ""): string {
  if (!MOVES.test(line)) return before + line;
  const cells: { text: string; pen: string }[] = [];
  let [pen, at] = ["", 0];
  const write = (text: string): void => {
    let from = 0;
    const put = (until: number): void => {
      for (const letter of text.slice(from, until)) {
        if (letter === "\r") at = 0;
        else cells[at++] = { text: letter, pen };
      }
    };
    for (const match of text.matchAll(ESCAPE)) {
      put(match.index);
      from = match.index + match[0].length;
      if (match[2] === "m") pen = /^0?$/.test(match[1] ?? "") ? "" : pen + match[0];
      else if (match[2] === "G") at = Math.max(0, (Number(match[1]) || 1) - 1);
      else if (match[2] === "K") erase(Number(match[1]) || 0);
    }
    put(text.length);
  };
  const erase = (kind: number): void => {
    const [first, last] = [kind === 0 ? at : 0, kind === 1 ? at + 1 : cells.length];
    for (let n = first; n < last; n++) cells[n] = { text: " ", pen: "" };
  };
  write(before);
  write(line);
  let [drawn, written] = ["", ""];
  for (let n = 0; n < cells.length; n++) {
    const cell = cells[n] ?? { text: " ", pen: "" };
    if (cell.pen !== drawn) written += `\x1b[0m${cell.pen}`;
    drawn = cell.pen;
    written += cell.text;
  }
  return (drawn ? `${written}\x1b[0m` : written).trimEnd();
}
