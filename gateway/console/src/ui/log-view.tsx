/** A log of any length: only the rows in sight are in the page. Search `/`, follow `f`, pause space. */

import { useComputed, useSignal, useSignalEffect } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { plain, runs } from "../ansi.ts";
import { count, exact, plural, time } from "../format.ts";
import { type Gap, type Log, type LogRow, search } from "../log.ts";

const ROW = 21;
const OVERSCAN = 12;

const CAUSES: Record<Gap["cause"], string> = {
  retention: "no longer kept",
  epoch: "lost when the database was replaced",
  ahead: "lost by the server",
  latest: "skipped",
  buffer: "skipped here: this page was too slow",
};

/** "312 events are no longer kept" */
function gapText({ missing, cause }: Gap): string {
  if (missing === null) return `Some events are ${CAUSES[cause]}`;
  return `${plural(missing, "event")} ${missing === 1 ? "is" : "are"} ${CAUSES[cause]}`;
}

export function LogView({ log, label }: { log: Log; label: string }): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const field = useRef<HTMLInputElement>(null);
  const top = useSignal(0);
  const height = useSignal(600);
  const following = useSignal(true);
  /** How many rows there were when the log was paused, counted from the first ever. */
  const paused = useSignal<number | null>(null);
  const words = useSignal("");
  const hit = useSignal(0);

  const total = log.version.value >= 0 ? log.rows.length : 0;
  const shown = paused.value === null ? total : Math.max(0, Math.min(total, paused.value - log.dropped));
  const hits = useComputed(() => (log.version.value, search(log.rows, words.value.trim())));
  const atEnd = following.value && paused.value === null;
  // At the end the place is known before the browser has scrolled there: no frame is blank.
  const from = atEnd ? Math.max(0, shown * ROW - height.value) : top.value;
  const first = Math.max(0, Math.floor(from / ROW) - OVERSCAN);
  const rows = log.rows.slice(first, Math.min(shown, Math.ceil((from + height.value) / ROW) + OVERSCAN));
  const chosen = hits.value[hit.value];
  const digits = String(log.lines).length;

  useLayoutEffect(() => {
    const element = box.current;
    if (element && atEnd) element.scrollTop = element.scrollHeight;
  });
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const observer = new ResizeObserver(() => (height.value = element.clientHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useSignalEffect(() => {
    const at = hits.value[hit.value];
    if (!words.value.trim() || at === undefined || !box.current) return;
    following.value = false;
    box.current.scrollTop = Math.max(0, at * ROW - height.peek() / 2);
  });

  const scrolled = (): void => {
    const element = box.current;
    if (!element) return;
    top.value = element.scrollTop;
    const end = element.scrollHeight - element.scrollTop - element.clientHeight < ROW;
    if (end !== following.peek()) following.value = end;
  };
  const follow = (): void => {
    paused.value = null;
    following.value = true;
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  };
  const pause = (): void => void (paused.value = paused.value === null ? log.dropped + log.rows.length : null);
  const step = (by: number): void => {
    const { length } = hits.value;
    if (length > 0) hit.value = (hit.value + by + length) % length;
  };
  useKeys({ "/": () => field.current?.select(), f: follow, " ": pause });

  return (
    <section class="log" aria-label={label}>
      <div class="log-bar">
        <label class="search">
          <span class="hidden">Search the log</span>
          <input
            ref={field}
            type="search"
            placeholder="Search"
            aria-keyshortcuts="/"
            value={words.value}
            onInput={(event) => {
              words.value = event.currentTarget.value;
              hit.value = 0;
            }}
            onKeyDown={(event) => {
              if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
              if (event.key === "Escape") {
                words.value = "";
                event.currentTarget.blur();
              }
            }}
          />
          <kbd aria-hidden="true">/</kbd>
        </label>
        {words.value.trim() && (
          <span class="hits" role="status">
            {hits.value.length === 0 ? "Nothing found" : `${hit.value + 1} of ${count(hits.value.length)}`}
          </span>
        )}
        <span class="amount">{plural(log.lines, "line")}</span>
        <button type="button" aria-pressed={paused.value !== null} aria-keyshortcuts="Space" onClick={pause}>
          {paused.value === null ? "Pause" : `Paused · ${count(total - shown)} new`}
        </button>
        <button type="button" aria-pressed={atEnd} aria-keyshortcuts="f" onClick={follow}>
          Follow
        </button>
      </div>
      <div ref={box} class={`log-rows digits-${Math.min(6, digits)}`} role="log" aria-live="off" aria-label={label} tabIndex={0} onScroll={scrolled}>
        {total === 0 && <p class="log-empty">{log.loading.value ? "Reading the log…" : "No line yet."}</p>}
        <div class="log-all" style={{ height: `${shown * ROW}px`, width: `calc(${log.longest}ch + 12rem)` }}>
          <ol style={{ transform: `translateY(${first * ROW}px)` }}>
            {rows.map((row, index) => (
              <RowView key={first + index + log.dropped} row={row} words={words.value.trim()} chosen={first + index === chosen} />
            ))}
          </ol>
        </div>
      </div>
    </section>
  );
}

function RowView({ row, words, chosen }: { row: LogRow; words: string; chosen: boolean }): JSX.Element {
  if (row.kind === "gap") return <li class="gap">{gapText(row)}</li>;
  return (
    <li class={`${row.level}${chosen ? " chosen" : ""}`}>
      <span class="number" title={exact(row.at)}>
        {row.number}
      </span>
      <time class="at">{time(row.at)}</time>
      <span class="text">{words ? <Marked text={plain(row.text)} words={words} /> : <Coloured text={row.text} />}</span>
    </li>
  );
}

function Coloured({ text }: { text: string }): JSX.Element {
  return (
    <>
      {runs(text).map(({ text, style }, index) =>
        style ? (
          <span key={index} class={style}>
            {text}
          </span>
        ) : (
          text
        ),
      )}
    </>
  );
}

function Marked({ text, words }: { text: string; words: string }): JSX.Element {
  const parts: (string | JSX.Element)[] = [];
  const low = text.toLowerCase();
  const wanted = words.toLowerCase();
  let from = 0;
  for (let at = low.indexOf(wanted); at >= 0; at = low.indexOf(wanted, from)) {
    parts.push(text.slice(from, at), <mark key={at}>{text.slice(at, at + wanted.length)}</mark>);
    from = at + wanted.length;
  }
  return <>{[...parts, text.slice(from)]}</>;
}

/** Keys of a page, while nothing is typed into a field. */
function useKeys(keys: Record<string, () => void>): void {
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      const target = event.target as HTMLElement;
      const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || (event.key === " " && target.tagName === "BUTTON");
      const run = latest.current[event.key];
      if (!run || typing || event.metaKey || event.ctrlKey || event.altKey) return;
      event.preventDefault();
      run();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
}
