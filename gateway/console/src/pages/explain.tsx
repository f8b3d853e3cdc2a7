/** Why did it not arrive? The hops of one event, also of one that is dead, waiting or trimmed. */

import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { duration, full, known, plural } from "../format.ts";
import { Resource, useResource } from "../resource.ts";
import { go, to, withQuery } from "../router.ts";
import { Ago, Failure, Freshness, Heading, Skeleton, Status } from "../ui/bits.tsx";
import { showPalette } from "../ui/palette-state.ts";

interface Hop {
  node: string;
  position?: string | null;
  live?: number | null;
  behind?: number | null;
}

interface Explained {
  status?: "recorded" | "waiting" | "dead" | "trimmed";
  stream?: string;
  entry?: string | null;
  reason?: string | null;
  /** How many entries are before one that waits. */
  behind?: number | null;
  at?: number | null;
  appended_at?: number | null;
  recorded_at?: number | null;
  published?: boolean | null;
  owner?: string | null;
  event?: string | null;
  id?: string | null;
  data?: unknown;
  channels?: { channel: string; position: string; broker_head?: number | null; nodes?: Hop[] }[];
  dead?: { id?: string | number; reason?: string } | null;
}

const typed = signal("");

export function Explain({ what }: { what: string | undefined }): JSX.Element {
  const submit = (event: Event): void => {
    event.preventDefault();
    if (typed.value.trim()) go(to("explain", typed.value.trim()));
  };
  return (
    <>
      <Heading title="Why did it not arrive?">
        <p>
          An entry (<code>1700000000000-0</code>) or a position (<code>deployment:d1@1-5</code>). For a user, a channel or a deployment, press{" "}
          <button type="button" class="link" onClick={showPalette}>
            ⌘K
          </button>
          .
        </p>
      </Heading>
      <form class="inline find" onSubmit={submit}>
        <label>
          <span class="hidden">Entry, or channel@position</span>
          <input
            class="mono"
            placeholder="Entry, or channel@position"
            value={typed.value}
            spellcheck={false}
            autocomplete="off"
            onInput={(event) => (typed.value = event.currentTarget.value)}
          />
        </label>
        <button type="submit" class="primary">
          Explain
        </button>
      </form>
      {what && <Answer key={what} what={what} />}
    </>
  );
}

function Answer({ what }: { what: string }): JSX.Element {
  const explained = useResource(useMemo(() => new Resource<Explained>(`/v1/explain/${encodeURIComponent(what)}`), [what]));
  const found = explained.value.value;
  const failure = explained.failure.value;
  if (!found) {
    if (!failure) return <Skeleton rows={3} />;
    return failure.status === 404 ? (
      <section class="why" aria-label="Answer">
        <p>
          Nothing is known as <code>{what}</code>: {failure.message}
        </p>
      </section>
    ) : (
      <Failure message={failure.message} />
    );
  }
  const status = found.status ?? (found.recorded_at ? "recorded" : "unknown");
  return (
    <section aria-label="Answer" class="explained">
      <Freshness of={explained} what="The answer" />
      <h2>
        <Status status={status}>{said(found, status)}</Status>
      </h2>
      {status === "dead" && (
        <p class="buttons">
          <a class="button primary" href={withQuery(to("dead"), { entry: found.entry ?? what })}>
            Mend and redrive
          </a>
        </p>
      )}
      <dl class="hops">
        <dt>Published</dt>
        <dd>
          {found.stream ?? "–"} · {found.event ?? "type unknown"} · {found.id ?? "no id"} · <Ago at={found.appended_at ?? found.at} />
        </dd>
        <dt>Recorded</dt>
        <dd>
          {found.recorded_at ? (
            <>
              <Ago at={found.recorded_at} />
              {found.appended_at ? `, after ${duration(Math.max(0, found.recorded_at - found.appended_at))}` : ""}
            </>
          ) : (
            "not recorded"
          )}
          {found.owner && ` · the stream is owned by ${found.owner}`}
        </dd>
        <dt>Sent on</dt>
        <dd>{found.published == null ? "unknown" : found.published ? "yes" : "not yet"}</dd>
      </dl>
      {found.channels?.map(({ channel, position, nodes }) => (
        <section key={channel} class="hop">
          <h3>
            <a href={to("channel", channel)}>{channel}</a> <span class="muted mono">{position}</span>
          </h3>
          {!nodes || nodes.length === 0 ? (
            <p class="quiet">No node says that somebody listens there now.</p>
          ) : (
            <ul class="plain">
              {nodes.map((node) => (
                <li key={node.node}>
                  {node.node}: {known(node.live, (live) => plural(live, "listener"))} up to date, {known(node.behind, full)} behind
                </li>
              ))}
            </ul>
          )}
          <p>
            <a href={withQuery(to("connections"), { channel })}>Who listens</a>
          </p>
        </section>
      ))}
      {found.data !== undefined && <pre tabIndex={0}>{JSON.stringify(found.data, null, 2)}</pre>}
    </section>
  );
}

function said({ reason, dead, behind }: Explained, status: string): string {
  switch (status) {
    case "recorded":
      return "It was recorded.";
    case "waiting":
      return behind == null ? "It waits for a worker." : `It waits behind ${plural(behind, "entry", "entries")}.`;
    case "dead":
      return `It was refused: ${reason ?? dead?.reason ?? "reason unknown"}`;
    case "trimmed":
      return "It is no longer kept.";
    default:
      return "What became of it is unknown.";
  }
}
