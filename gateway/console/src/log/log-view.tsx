/** A log of any length with its search, its settings and its keys: `/` search, `e` first error, `f` follow, space pause. */

import { useSignal, useSignalEffect } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { full, plural } from "../format.ts";
import { calm } from "../installation.ts";
import { filter, fragment, query } from "../router.ts";
import { Failure } from "../ui/bits.tsx";
import { useKeys } from "../ui/keys.ts";
import { type Line, rangeOf } from "./lines.ts";
import type { Log } from "./log.ts";
import { LogMenu } from "./log-menu.tsx";
import { LogRows, type Place, type Source } from "./log-rows.tsx";
import { firstError, HITS_MAX, matcher, Search } from "./search.ts";

/** Typing is over when nothing was typed for so long. */
const TYPED_MS = 200;

export function LogView({ log, label }: { log: Log; label: string }): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const field = useRef<HTMLInputElement>(null);
  const following = useSignal(rangeOf(fragment.peek()) === null);
  const paused = useSignal<number | null>(null);
  const words = useSignal(query.peek().get("find") ?? "");
  const regex = useSignal(query.peek().get("regex") === "1");
  const only = useSignal(false);
  const hit = useSignal(0);
  const large = useSignal(false);
  const note = useSignal("");
  const target = useSignal<Place | null>(null);

  const search = useSearch(log, words.value.trim(), regex.value);
  const found = search ? (search.version.value, search.hits.length) : 0;
  const chosen: Line | null = search?.hits[Math.min(hit.value, found - 1)] ?? null;
  const pattern = useMemo(() => marker(words.value.trim(), regex.value), [words.value, regex.value]);
  const source = useMemo<Source>(
    () => ({
      rows: log.rows,
      version: log.version,
      get longest() {
        return log.longest;
      },
      fill: (hole, where) => log.fill(hole, where),
      see: (first, last) => (log.sight = [first, last]),
    }),
    [log],
  );
  const hits = useMemo<Source | null>(() => search && { rows: search.hits, version: search.version, longest: log.longest }, [search, log]);

  const show = async (line: Place | null): Promise<void> => {
    if (!line) return;
    following.value = false;
    if ((await log.reach(line.event, line.part)) !== null) target.value = line;
  };
  const step = (by: number): void => {
    if (found === 0) return;
    hit.value = (hit.value + by + found) % found;
    if (!only.value) void show(search?.hits[hit.value] ?? null);
  };
  const follow = (): void => {
    paused.value = null;
    only.value = false;
    following.value = true;
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  };
  const pause = (): void => void (paused.value = paused.value === null ? log.rows.length : null);
  const toError = async (): Promise<void> => {
    note.value = "Looking for the first error…";
    const line = await firstError(log).catch((error: Error) => ((note.value = error.message), undefined));
    if (line === undefined) return;
    note.value = line ? "" : "No line tells of an error";
    if (line) {
      history.replaceState(null, "", `#L${line.event}${line.part > 1 ? `.${line.part}` : ""}`);
      dispatchEvent(new PopStateEvent("popstate"));
    }
  };
  const toStart = async (): Promise<void> => {
    following.value = false;
    await log.reachStart();
    if (box.current) box.current.scrollTop = 0;
  };
  useKeys({ "/": () => field.current?.select(), f: follow, " ": pause, e: () => void toError(), Home: () => void toStart(), End: follow });

  // A link to a line leads there, as soon as there is a log.
  useSignalEffect(() => {
    const range = rangeOf(fragment.value);
    if (range && !log.loading.value) void show({ event: range.from[0], part: range.from[1] });
  });
  // The first hit is shown when it is there, and no later one takes its place.
  const first = found > 0 ? search : null;
  useEffect(() => {
    hit.value = 0;
    if (first && !only.peek()) void show(first.hits[0] ?? null);
  }, [first]);
  useEffect(() => {
    const escaped = (event: KeyboardEvent): void => void (event.key === "Escape" && (large.value = false));
    addEventListener("keydown", escaped);
    return () => removeEventListener("keydown", escaped);
  }, [large]);

  const total = (log.version.value, log.rows.length);
  const waiting = paused.value === null ? 0 : Math.max(0, total - paused.value);
  return (
    <section class={`log${large.value ? " large" : ""}`} aria-label={label}>
      <div class="log-bar">
        <label class="search">
          <span class="hidden">Search the whole log</span>
          <input
            ref={field}
            type="search"
            placeholder="Search"
            aria-keyshortcuts="/"
            aria-invalid={words.value.trim() !== "" && search === null && matcher(words.value.trim(), regex.value) === null}
            value={words.value}
            onInput={(event) => (words.value = event.currentTarget.value)}
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
        <button
          type="button"
          class="mono"
          aria-pressed={regex.value}
          aria-label="Regular expression"
          title="Regular expression"
          onClick={() => (regex.value = !regex.value)}
        >
          .*
        </button>
        {search && (
          <>
            <span class="hits" role="status">
              {hitsText(search, found, hit.value)}
            </span>
            <button type="button" aria-label="Previous hit" disabled={found === 0} onClick={() => step(-1)}>
              ↑
            </button>
            <button type="button" aria-label="Next hit" disabled={found === 0} onClick={() => step(1)}>
              ↓
            </button>
            <button type="button" aria-pressed={only.value} onClick={() => (only.value = !only.value)}>
              Only hits
            </button>
          </>
        )}
        {note.value && (
          <span class="hits" role="status">
            {note.value}
          </span>
        )}
        <span class="amount">{plural(log.events.value, "event")}</span>
        <button type="button" aria-keyshortcuts="e" onClick={() => void toError()}>
          First error
        </button>
        <button type="button" aria-pressed={paused.value !== null} aria-keyshortcuts="Space" onClick={pause}>
          {paused.value === null ? "Pause" : `Paused · ${full(waiting)} new`}
        </button>
        <button type="button" aria-pressed={following.value && paused.value === null} aria-keyshortcuts="f" onClick={follow}>
          Follow
        </button>
        <LogMenu log={log} label={label} large={large} note={note} toStart={() => void toStart()} />
      </div>
      {log.error.value && <Failure message={`The log: ${log.error.value}`} />}
      {search?.error.value && <Failure message={`The search: ${search.error.value}`} />}
      <LogRows
        key={only.value ? "hits" : "log"}
        source={only.value && hits ? hits : source}
        box={box}
        label={label}
        target={target}
        following={following}
        limit={only.value ? null : paused.value}
        start={log.start.value ?? 0}
        pattern={pattern}
        chosen={chosen}
        empty={
          log.loading.value
            ? "Reading the log…"
            : log.error.value
              ? "The log cannot be read now."
              : only.value
                ? "No hit."
                : calm.value
                  ? "No line yet."
                  : "What it says is unknown at the moment."
        }
      />
    </section>
  );
}

/** A search for as long as it is wanted; it begins when nothing was typed for a moment, and the address tells. */
function useSearch(log: Log, words: string, regex: boolean): Search | null {
  const search = useSignal<Search | null>(null);
  useEffect(() => {
    const timer = setTimeout(() => {
      const matches = words ? matcher(words, regex) : null;
      search.value = matches && new Search(log, words, regex, matches);
      const before = query.peek();
      if ((before.get("find") ?? "") !== words || (before.get("regex") === "1") !== (regex && words !== ""))
        filter({ find: words, regex: regex && words ? "1" : "" }, true);
    }, TYPED_MS);
    return () => {
      clearTimeout(timer);
      search.peek()?.close();
    };
  }, [log, words, regex, search]);
  useSignalEffect(() => {
    log.version.value;
    search.value?.follow();
  });
  return words ? search.value : null;
}

function hitsText(search: Search, found: number, hit: number): string {
  const looked = search.looked.value;
  const progress = looked === null ? "" : ` · ${full(looked)} events looked through`;
  if (search.cut) return `${full(hit + 1)} of the first ${full(HITS_MAX)}`;
  if (found === 0) return looked === null ? (search.error.value ? "Not searched" : "Nothing found") : `Searching${progress}`;
  return `${full(hit + 1)} of ${full(found)}${progress}`;
}

/** What is looked for, to be marked wherever it stands. */
function marker(words: string, regex: boolean): RegExp | null {
  if (!words) return null;
  try {
    return new RegExp(regex ? words : words.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "gi");
  } catch {
    return null;
  }
}
