/** One row of a log: a line with its number, time and colours, a hole, or a gap. */

import type { JSX } from "preact";
import { exact, full, plural, stamp, type Zone } from "../format.ts";
import { plain, type Run, runs } from "./ansi.ts";
import { ROW, unfoldedLines } from "./layout.ts";
import { type Gap, type Hole, jsonOf, type Line, placeOf, shortOf } from "./lines.ts";

const CAUSES: Record<Gap["cause"], string> = {
  retention: "no longer kept",
  epoch: "lost when the database was replaced",
  ahead: "lost by the server",
  latest: "skipped",
  buffer: "skipped here: this page was too slow",
};

/** "312 events are no longer kept" */
export function GapRow({ gap: { missing, cause } }: { gap: Gap }): JSX.Element {
  const words = missing === null ? `Some events are ${CAUSES[cause]}` : `${plural(missing, "event")} ${missing === 1 ? "is" : "are"} ${CAUSES[cause]}`;
  return <li class="gap">{words}</li>;
}

export function HoleRow({ hole, height, retry }: { hole: Hole; height: number; retry: () => void }): JSX.Element {
  return (
    <li class="hole" style={{ height: `${height}px` }}>
      <span>
        {plural(hole.to - hole.from + 1, "event")} not read yet ({full(hole.from)} – {full(hole.to)})
        {hole.failure && (
          <>
            : {hole.failure}{" "}
            <button type="button" class="link" onClick={retry}>
              Try again
            </button>
          </>
        )}
      </span>
    </li>
  );
}

interface LineProps {
  line: Line;
  /** What stands in the first column. */
  label: string;
  zone: Zone;
  start: number;
  height: number;
  columns: number;
  unfolded: boolean;
  chosen: boolean;
  marked: boolean;
  /** What is looked for, to be marked in the text. */
  pattern: RegExp | null;
  unfold: () => void;
}

export function LineRow(props: LineProps): JSX.Element {
  const { line, label, zone, start, columns } = props;
  const json = jsonOf(line.text);
  return (
    <li
      class={`${line.level}${props.chosen ? " chosen" : ""}${props.marked ? " marked" : ""}`}
      {...(props.height !== ROW && { style: { height: `${props.height}px` } })}
    >
      <span class="number" data-place={placeOf(line)}>
        {label}
      </span>
      <time class={`at ${zone}`} title={zone === "relative" ? exact(line.at) : undefined}>
        {stamp(line.at, zone, start)}
      </time>
      <span class="text" {...(columns > 0 && { style: { width: `${columns}ch` } })}>
        {json && (
          <button type="button" class="unfold" aria-expanded={props.unfolded} aria-label="All of this entry" onClick={props.unfold}>
            {props.unfolded ? "▾" : "▸"}
          </button>
        )}
        {json && !props.pattern ? shortOf(json) : shown(line.text, props.pattern)}
        {props.unfolded && (
          <span class="json">
            {unfoldedLines(line.text).map((text, index) => (
              <span key={index} style={{ height: `${ROW}px` }}>
                {text}
              </span>
            ))}
          </span>
        )}
      </span>
    </li>
  );
}

/** The text as it is shown; strings where they suffice, because a log has many of them. */
function shown(text: string, pattern: RegExp | null): JSX.Element | (JSX.Element | string)[] | string {
  if (pattern) return <Marked text={plain(text)} pattern={pattern} />;
  return runs(text).flatMap((run, index) =>
    run.style ? (
      <span key={index} class={run.style} {...((run.fg || run.bg) && { style: colours(run) })}>
        {linked(run.text)}
      </span>
    ) : (
      linked(run.text)
    ),
  );
}

function colours({ fg, bg }: Run): Record<string, string> {
  return { ...(fg && { "--fg": fg }), ...(bg && { "--bg": bg }) };
}

const LINK = /https?:\/\/[^\s<>"'`]*[^\s<>"'`.,;:!?)\]}]/g;

/** Addresses of the web become links; whatever else looks like one stays text. */
function linked(text: string): string | (JSX.Element | string)[] {
  if (!text.includes("://")) return text;
  const parts: (string | JSX.Element)[] = [];
  let from = 0;
  for (const { 0: href, index } of text.matchAll(LINK)) {
    parts.push(
      text.slice(from, index),
      <a key={index} href={href} target="_blank" rel="noreferrer noopener">
        {href}
      </a>,
    );
    from = index + href.length;
  }
  return [...parts, text.slice(from)];
}

function Marked({ text, pattern }: { text: string; pattern: RegExp }): JSX.Element {
  const parts: (string | JSX.Element)[] = [];
  let from = 0;
  for (const { 0: found, index } of text.matchAll(pattern)) {
    if (!found) continue;
    parts.push(text.slice(from, index), <mark key={index}>{found}</mark>);
    from = index + found.length;
  }
  return <>{[...parts, text.slice(from)]}</>;
}
