/** ANSI SGR: the colours of terminal output, as runs of text with class names. Other escapes are dropped. */

export interface Run {
  text: string;
  /** Class names: `bold dim italic underline fg-3 bg-12`; empty for plain text. */
  style: string;
}

const ESCAPE = /\x1b(?:\[([\d;:<=>?]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)|.)?/g;
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f]/g;
const FLAGS: Record<number, string> = { 1: "bold", 2: "dim", 3: "italic", 4: "underline", 9: "strike" };
const CLEARED: Record<number, string[]> = { 22: ["bold", "dim"], 23: ["italic"], 24: ["underline"], 29: ["strike"] };

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
    if (text) result.push({ text, style: [...pen.flags, pen.fg, pen.bg].filter(Boolean).join(" ") });
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

/** `38;5;N` and `38;2;R;G;B`: the sixteen named colours are kept, others have no class. */
function extended(pen: Pen, codes: number[], at: number): number {
  const kind = codes[at] === 38 ? "fg" : "bg";
  if (codes[at + 1] === 5) {
    const index = codes[at + 2] ?? 0;
    pen[kind] = index < 16 ? `${kind}-${index}` : "";
    return 2;
  }
  pen[kind] = "";
  return codes[at + 1] === 2 ? 4 : 0;
}
