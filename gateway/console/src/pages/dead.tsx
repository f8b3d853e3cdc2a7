/** Dead letters: entries that were refused, by reason; mended one by one, sent back or dropped many at once. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { every } from "../clock.ts";
import { full, known, plural } from "../format.ts";
import { api, type HttpError } from "../gateway.ts";
import { calm, overview } from "../installation.ts";
import { filter, query, to } from "../router.ts";
import { Ago, Choice, Empty, Failure, Heading, Skeleton, Sure, Unknown } from "../ui/bits.tsx";

export interface Letter {
  id: string | number;
  stream: string;
  entry: string;
  reason: string;
  /** The reason in one word. */
  label?: string;
  at: number | string;
  fields: Record<string, string>;
}

interface Page {
  dead: Letter[];
  next: string | null;
}

const STREAMS = ["deployments", "tasks", "agents", "containers", "messages", "topics", "webhooks"];
const EVERY_MS = 10_000;
const PAGE = 100;
/** Pages that are looked through for letters of one reason or id. */
const PAGES_MAX = 20;

export function Dead(): JSX.Element {
  const [stream, reason, entry] = ["stream", "reason", "entry"].map((key) => query.value.get(key) ?? "") as [string, string, string];
  const letters = useSignal<Letter[] | null>(null);
  const next = useSignal<string | null>(null);
  const failure = useSignal<HttpError | null>(null);
  const fits = (letter: Letter): boolean => (!reason || letter.reason === reason || letter.label === reason) && (!entry || letter.entry === entry);
  const read = async (cursor?: string): Promise<void> => {
    let from = cursor;
    let found: Letter[] = [];
    try {
      for (let page = 0; page < PAGES_MAX; page++) {
        const asked = new URLSearchParams({ limit: String(PAGE), ...(stream && { stream }), ...(from && { cursor: from }) });
        const answer = await api<Page>(`/v1/dead?${asked}`);
        found = [...found, ...answer.dead.filter(fits)];
        next.value = answer.next;
        from = answer.next ?? undefined;
        if (!from || found.length > 0) break;
      }
      letters.value = cursor ? [...(letters.peek() ?? []), ...found] : found;
      failure.value = null;
    } catch (error) {
      failure.value = error as HttpError;
    }
  };
  useEffect(() => {
    letters.value = null;
    return every(EVERY_MS, () => void ((letters.peek()?.length ?? 0) <= PAGE && read()));
  }, [stream, reason, entry]);
  const dead = overview.current.value?.dead ?? null;
  const reasons = Object.entries(dead?.by_reason ?? {}).sort(([, a], [, b]) => b - a);
  const bulk = (verb: "redrive" | "drop") => async (): Promise<string> => {
    const before = Date.now();
    const answer = await api<Record<string, number>>(`/v1/dead/${verb}`, "POST", { ...(stream && { stream }), ...(reason && { reason }), before }, 30_000);
    const [done = 0] = Object.values(answer);
    await Promise.all([read(), overview.read()]);
    return `${full(done)} ${verb === "drop" ? "dropped" : "redriven"}`;
  };
  return (
    <>
      <Heading title="Dead letters">
        <p>{dead?.total == null ? "How many there are is unknown." : plural(dead.total, "entry that was refused", "entries that were refused")}</p>
      </Heading>
      <div class="tools">
        <Choice
          label="Stream"
          value={stream || "all"}
          choose={(value) => filter({ stream: value === "all" ? "" : value })}
          options={[["all", "All"] as const, ...STREAMS.map((one) => [one, one] as const)]}
        />
      </div>
      {reasons.length > 0 && (
        <table class="reasons">
          <thead>
            <tr>
              <th scope="col">Reason</th>
              <th scope="col" class="number">
                Letters
              </th>
            </tr>
          </thead>
          <tbody>
            {reasons.map(([why, amount]) => (
              <tr key={why} aria-current={why === reason ? "true" : undefined}>
                <th scope="row">
                  <button type="button" class="link" aria-pressed={why === reason} onClick={() => filter({ reason: why === reason ? "" : why })}>
                    {why}
                  </button>
                </th>
                <td class="number">{known(amount, full)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {(letters.value?.length ?? 0) > 0 && (
        <p class="buttons bulk">
          <span class="quiet">{reason ? `All with this reason${stream ? ` in ${stream}` : ""}:` : stream ? `All in ${stream}:` : "All of them:"}</span>
          <Sure key={`redrive ${stream} ${reason}`} question="Really redrive all?" act={bulk("redrive")}>
            Redrive all
          </Sure>
          <Sure key={`drop ${stream} ${reason}`} question="Really forget all?" act={bulk("drop")}>
            Drop all
          </Sure>
        </p>
      )}
      {failure.value && <Failure message={failure.value.message} retry={() => void read()} />}
      {letters.value === null && (failure.value ? <Unknown what="What was refused" /> : <Skeleton rows={3} />)}
      {letters.value?.length === 0 &&
        (failure.value || !calm.value ? (
          <Unknown what="What was refused" />
        ) : (
          <Empty title={reason || stream || entry ? "No such dead letter" : "No dead letters"} />
        ))}
      <ul class="plain letters">
        {letters.value?.map((letter) => (
          <LetterView
            key={letter.id}
            letter={letter}
            open={entry === letter.entry}
            gone={() => (letters.value = (letters.value ?? []).filter(({ id }) => id !== letter.id))}
          />
        ))}
      </ul>
      {next.value && (
        <p class="more">
          <button type="button" onClick={() => void read(next.value ?? undefined)}>
            Show more
          </button>
        </p>
      )}
    </>
  );
}

function LetterView({ letter, open, gone }: { letter: Letter; open: boolean; gone: () => void }): JSX.Element {
  const text = useSignal(JSON.stringify(letter.fields, null, 2));
  const error = useSignal("");
  const busy = useSignal(false);
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
  const path = `/v1/dead/${encodeURIComponent(letter.id)}`;
  const redrive = (): Promise<void> => run(() => api(`${path}/redrive`, "POST", changes(letter.fields, JSON.parse(text.value) as Record<string, string>)));
  const drop = async (): Promise<string> => {
    await api(path, "DELETE");
    gone();
    return "dropped";
  };
  return (
    <li>
      <details open={open}>
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
          <Sure question="Really forget it?" act={drop}>
            Drop
          </Sure>
          <a class="button" href={to("explain", letter.entry)}>
            Explain
          </a>
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
