/** What can be done with a log beside reading it: how it is shown, copying, downloading. */

import type { Signal } from "@preact/signals";
import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import { full, type Zone } from "../format.ts";
import { fragment } from "../router.ts";
import { isIn, type Line, rangeOf } from "./lines.ts";
import type { Log } from "./log.ts";
import { textOf, written } from "./search.ts";
import { change, settings } from "./settings.ts";

const ZONES: Record<Zone, string> = { local: "Local time", utc: "UTC", relative: "From the start" };

interface Props {
  log: Log;
  label: string;
  large: Signal<boolean>;
  note: Signal<string>;
  toStart: () => void;
}

export function LogMenu({ log, label, large, note, toStart }: Props): JSX.Element {
  const menu = useRef<HTMLDetailsElement>(null);
  const { wrap, zone } = settings.value;
  const then = (job: () => void) => (): void => {
    job();
    if (menu.current) menu.current.open = false;
  };
  const all = (): Promise<Blob> => textOf(log, new AbortController().signal, (events) => (note.value = `${full(events)} events read`));
  const copy = async (): Promise<void> => {
    const range = rangeOf(fragment.peek());
    const chosen = log.rows.filter((row): row is Line => row.kind === "line" && isIn(range, row));
    const text = chosen.length > 0 ? chosen.map(written).join("\n") : await (await all()).text();
    await navigator.clipboard.writeText(text);
    note.value = chosen.length > 0 ? `${full(chosen.length)} lines copied` : "The whole log is copied";
  };
  const download = async (): Promise<void> => {
    const href = URL.createObjectURL(await all());
    const link = Object.assign(document.createElement("a"), { href, download: `${log.channel.replace(/[^\w.-]+/g, "-")}.log` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(href), 10_000);
    note.value = "";
  };
  const run = (job: () => Promise<void>): (() => void) => then(() => void job().catch((error: Error) => (note.value = error.message)));
  return (
    <details class="log-menu" ref={menu}>
      <summary>
        View<span class="hidden"> of {label}</span>
      </summary>
      <div class="log-menu-sheet">
        <label>
          <input type="checkbox" checked={wrap} onChange={(event) => change({ wrap: event.currentTarget.checked })} /> Wrap lines
        </label>
        <label>
          <span class="hidden">Times</span>
          <select value={zone} onChange={(event) => change({ zone: event.currentTarget.value as Zone })}>
            {Object.entries(ZONES).map(([key, name]) => (
              <option key={key} value={key}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <button type="button" onClick={then(() => (large.value = !large.value))}>
          {large.value ? "Leave full screen" : "Full screen"}
        </button>
        <button type="button" onClick={then(toStart)}>
          To the beginning
        </button>
        <button type="button" onClick={run(copy)}>
          {rangeOf(fragment.value) ? "Copy chosen lines" : "Copy all"}
        </button>
        <button type="button" onClick={run(download)}>
          Download all
        </button>
      </div>
    </details>
  );
}
