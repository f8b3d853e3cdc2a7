/** Streams: how far the workers are behind, who owns what, and the dead letters. */

import { useSignal, useSignalEffect } from "@preact/signals";
import type { JSX } from "preact";
import { every } from "../clock.ts";
import { count, decimal, duration, plural, sentence } from "../format.ts";
import { api, degraded } from "../gateway.ts";
import { followMetrics, metricsError, points, scrape, streamRates } from "../metrics.ts";
import { by, total } from "../prometheus.ts";
import { Ago, Dot, Empty, Failure, Heading, Skeleton, type Tone } from "../ui/bits.tsx";

interface Part {
  name: string;
  state: string;
  ageMs: number | null;
  detail: string;
}

interface Letter {
  id: string | number;
  stream: string;
  entry: string;
  reason: string;
  at: number | string;
  fields: Record<string, string>;
}

const STREAMS = ["deployments", "tasks", "agents", "containers", "messages"];
const EVERY_MS = 4000;

export function Streams(): JSX.Element {
  useSignalEffect(followMetrics);
  const letters = useSignal<Letter[] | null>(null);
  const next = useSignal<string | null>(null);
  const error = useSignal("");
  const parts = useSignal<Part[]>([]);
  const read = async (cursor?: string): Promise<void> => {
    try {
      const path = `/v1/dead?limit=50${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`;
      const answer = await api<{ dead: Letter[]; next: string | null }>(path);
      letters.value = cursor ? [...(letters.value ?? []), ...answer.dead] : answer.dead;
      next.value = answer.next;
      error.value = "";
    } catch (failure) {
      error.value = (failure as Error).message;
    }
  };
  useSignalEffect(() => {
    const stops = [
      every(EVERY_MS, () => void readiness().then((value) => (parts.value = value))),
      every(EVERY_MS * 3, () => void (next.peek() === null && read())),
    ];
    void read();
    return () => stops.forEach((stop) => stop());
  });
  const waiting = total(scrape.value, "fanfare_worker_lag_entries");
  return (
    <>
      <Heading title="Streams">
        <p>{scrape.value ? behind(waiting) : metricsError.value ? "" : "Reading…"}</p>
      </Heading>
      {parts.value.length > 0 && (
        <ul class="plain parts" aria-label="Parts of the server">
          {parts.value.map((part) => (
            <li key={part.name}>
              <Dot tone={toneOfPart(part.state)} />
              <b>{part.name}</b> {part.state}
              {part.detail && <span class="muted">{part.detail}</span>}
              {part.ageMs !== null && toneOfPart(part.state) !== "good" && <span class="muted">for {duration(part.ageMs)}</span>}
            </li>
          ))}
        </ul>
      )}
      {metricsError.value && <Failure message={`/metrics: ${metricsError.value}`} />}
      <Table />
      <section class="dead" aria-labelledby="dead">
        <h2 id="dead">Dead letters</h2>
        <p class="lede">Entries that could not be applied. Mend one and send it back into its stream, or forget it.</p>
        {error.value && <Failure message={error.value} retry={() => void read()} />}
        {letters.value === null && !error.value && <Skeleton rows={3} />}
        {letters.value?.length === 0 && <Empty title="No dead letters" />}
        <ul class="plain letters">
          {letters.value?.map((letter) => (
            <LetterView key={letter.id} letter={letter} gone={() => (letters.value = (letters.value ?? []).filter(({ id }) => id !== letter.id))} />
          ))}
        </ul>
        {next.value && (
          <p class="more">
            <button type="button" onClick={() => void read(next.value ?? undefined)}>
              Show more
            </button>
          </p>
        )}
      </section>
    </>
  );
}

function behind(waiting: number | null): string {
  if (degraded.value) return `${sentence(degraded.value)}; what was accepted is recorded as soon as it does`;
  if (waiting === null) return "How far the workers are is not measured at this address";
  return waiting > 0 ? `${plural(waiting, "entry", "entries")} not yet recorded` : "Everything is recorded";
}

function toneOfPart(state: string): Tone {
  if (/^(up|ok|ready|live|healthy|connected)$/i.test(state)) return "good";
  return /^(down|failed|deaf|error)$/i.test(state) ? "bad" : "warn";
}

/** The parts that `/readyz` names, whatever else it says about them. */
async function readiness(): Promise<Part[]> {
  const response = await fetch("/readyz").catch(() => null);
  const body = (await response?.json().catch(() => null)) as Record<string, unknown> | null;
  const parts = (body?.parts ?? body?.checks ?? {}) as Record<string, unknown>;
  const entries: [string, unknown][] = Array.isArray(parts) ? parts.map((part: { name: string }) => [part.name, part]) : Object.entries(parts);
  const known = entries.map(([name, value]) => {
    const part = (typeof value === "object" && value !== null ? value : { state: value }) as Record<string, unknown>;
    const age = part.age_ms ?? part.ageMs;
    return {
      name,
      state: String(part.state ?? part.status ?? ""),
      ageMs: typeof age === "number" ? age : null,
      detail: String(part.detail ?? part.reason ?? part.error ?? ""),
    };
  });
  return known.filter(({ state }) => state !== "");
}

function Table(): JSX.Element {
  const from = scrape.value;
  const lag = by(from, "fanfare_worker_lag_entries", "stream");
  const seconds = by(from, "fanfare_worker_lag_seconds", "stream");
  const unpublished = by(from, "fanfare_worker_unpublished_events", "stream");
  const lease = by(from, "fanfare_worker_lease", "stream");
  const names = [...new Set([...STREAMS, ...lag.keys()])];
  const cell = (value: number | undefined, show: (value: number) => string): JSX.Element =>
    value === undefined ? <span class="muted">–</span> : <span class={value > 0 ? "" : "muted"}>{show(value)}</span>;
  return (
    <table class="streams">
      <thead>
        <tr>
          {["Stream", "Events a second", "Lag", "Behind", "Pending", "Owner"].map((column, index) => (
            <th scope="col" key={column} class={index === 0 ? "" : `number${index === 4 || index === 5 ? " wide" : ""}`}>
              {column}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {names.map((name) => (
          <tr key={name}>
            <th scope="row">
              <span class="mono">{name}</span>
            </th>
            <td class="number">{cell(lease.get(name) === 0 || points.value.length === 0 ? undefined : (streamRates.value[name] ?? 0), decimal)}</td>
            <td class="number">{cell(lag.get(name), count)}</td>
            <td class="number">{cell(seconds.get(name), (value) => (value === 0 ? "0" : duration(value * 1000)))}</td>
            <td class="number wide">{cell(unpublished.get(name), count)}</td>
            <td class="number wide">{lease.has(name) ? lease.get(name) ? "this process" : "another worker" : <span class="muted">–</span>}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function LetterView({ letter, gone }: { letter: Letter; gone: () => void }): JSX.Element {
  const text = useSignal(JSON.stringify(letter.fields, null, 2));
  const error = useSignal("");
  const busy = useSignal(false);
  const sure = useSignal(false);
  const run = async (job: () => Promise<unknown>): Promise<void> => {
    busy.value = true;
    error.value = "";
    try {
      await job();
      gone();
    } catch (failure) {
      error.value = (failure as Error).message;
    }
    busy.value = false;
  };
  const redrive = (): Promise<void> =>
    run(() => api(`/v1/dead/${encodeURIComponent(letter.id)}/redrive`, "POST", changes(letter.fields, JSON.parse(text.value) as Record<string, string>)));
  const drop = async (): Promise<void> => {
    if (!sure.value) return void (sure.value = true);
    await run(() => api(`/v1/dead/${encodeURIComponent(letter.id)}`, "DELETE"));
  };
  return (
    <li>
      <details>
        <summary>
          <span class="reason">{letter.reason}</span>
          <span class="sub">
            <span class="mono">
              {letter.stream} · {letter.fields.type ?? "no type"} · {letter.fields.id ?? "no id"}
            </span>
            {" · "}
            <Ago at={typeof letter.at === "number" ? letter.at : Date.parse(letter.at)} />
          </span>
        </summary>
        <label>
          <span>Fields of entry {letter.entry}</span>
          <textarea
            class="mono"
            spellcheck={false}
            rows={Math.min(12, text.value.split("\n").length + 1)}
            value={text.value}
            onInput={(event) => (text.value = event.currentTarget.value)}
          />
        </label>
        {error.value && <Failure message={error.value} />}
        <p class="buttons">
          <button type="button" class="primary" disabled={busy.value} onClick={() => void redrive()}>
            Redrive
          </button>
          <button type="button" class={sure.value ? "danger" : ""} disabled={busy.value} onClick={() => void drop()} onBlur={() => (sure.value = false)}>
            {sure.value ? "Really forget it?" : "Drop"}
          </button>
        </p>
      </details>
    </li>
  );
}

/** What was changed by hand, as the redrive wants it: merged over the old fields, null removes. */
function changes(before: Record<string, string>, after: Record<string, string>): { fields?: Record<string, string | null> } {
  const fields: Record<string, string | null> = {};
  for (const key of Object.keys(before)) if (!(key in after)) fields[key] = null;
  for (const [key, value] of Object.entries(after)) {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    if (before[key] !== text) fields[key] = text;
  }
  return Object.keys(fields).length > 0 ? { fields } : {};
}
