/** How the installation is: one sentence, the rates, what runs, what needs a person. Nothing is said that is not known. */

import { effect, signal } from "@preact/signals";
import type { JSX } from "preact";
import { rights } from "../credential.ts";
import { count, decimal, duration, known, plural, UNKNOWN } from "../format.ts";
import { connection, connectionState, moving } from "../gateway.ts";
import { calm, entities, type Moment, missing, nodes, overview, reason, SILENT_MS, silence, sum } from "../installation.ts";
import { deployments, FAILED, OPEN } from "../kinds.ts";
import { useList } from "../list.ts";
import { useResource } from "../resource.ts";
import { filter, query, to } from "../router.ts";
import { Ago, Choice, Dot, Freshness, Heading, Progress, Skeleton, Unknown } from "../ui/bits.tsx";
import { Chart } from "../ui/chart.tsx";
import { FirstMinute } from "./first-minute.tsx";
import { RecentActivity } from "./recent.tsx";

/** Behind by more than this, workers are told of. */
const BEHIND_SECONDS = 10;
const POINTS_MAX = 90;

interface Point {
  at: number;
  recorded: number | null;
  delivered: number | null;
}

/** What this page saw since it was opened, finer than the server's own history. */
const seen = signal<readonly Point[]>([]);

effect(() => {
  const answer = overview.value.value;
  const last = seen.peek().at(-1);
  if (!answer || last?.at === answer.at) return;
  const point = { at: answer.at, recorded: answer.rates?.recorded ?? null, delivered: answer.rates?.delivered ?? null };
  seen.value = [...seen.peek(), point].slice(-POINTS_MAX);
});

/** All of a stream's lag, in seconds; null as soon as one stream's is unknown. */
function behind(): number | null {
  const lag = overview.current.value?.lag;
  if (!lag) return null;
  const seconds = Object.values(lag).map((one) => one?.seconds ?? null);
  return seconds.every((one) => one !== null) ? Math.max(0, ...(seconds as number[])) : null;
}

export function waitingEntries(): number | null {
  const lag = overview.current.value?.lag;
  return lag ? sum(Object.values(lag).map((one) => one?.entries ?? null)) : null;
}

/** What must be known before anybody is told that all is well. */
function unknowns(): string[] {
  const now = overview.current.value;
  const parts: [string, unknown][] = [
    ["the rates", now?.rates?.recorded],
    ["how far the workers are", behind()],
    ["dead letters", now?.dead?.total],
    ["deployments", entities("deployments")],
    ["the nodes", nodes.current.value],
  ];
  return parts.filter(([, value]) => value === null || value === undefined).map(([name]) => name);
}

/** The state of the installation in one sentence. */
function headline(): string {
  if (connectionState.value !== "connected" && !moving.value) return "Looking for the server.";
  if (overview.readAt.value === null) return overview.failure.value ? "How things are is unknown." : "Reading…";
  const now = overview.current.value;
  if (!now) return "How things are is unknown.";
  if (now.degraded) return `Degraded: ${reason(now.degraded)}.`;
  const silent = missing.value.length + (nodes.current.value?.nodes ?? []).filter((node) => (silence(node) ?? 0) > SILENT_MS).length;
  if (silent > 0) return silent === 1 ? "One node is silent." : `${silent} nodes are silent.`;
  const seconds = behind();
  if (seconds !== null && seconds > BEHIND_SECONDS) return `The workers are ${duration(seconds * 1000)} behind.`;
  const dead = now.dead?.total ?? null;
  if (dead !== null && dead > 0) return `${plural(dead, "dead letter")} ${dead === 1 ? "needs" : "need"} a person.`;
  const alerts = entities("alerts", ["open"]);
  if (alerts !== null && alerts > 0) return alerts === 1 ? "One alert is open." : `${count(alerts)} alerts are open.`;
  if (unknowns().length > 0) return "Not everything is known.";
  const going = entities("deployments", OPEN) ?? 0;
  if (going > 0) return going === 1 ? "One deployment is on its way." : `${count(going)} deployments are on their way.`;
  return "All is well.";
}

export function Overview(): JSX.Element {
  const { operator } = rights.value;
  useResource(overview, operator);
  useResource(nodes, operator);
  if (!operator) return <ReaderOverview />;
  const now = overview.current.value;
  const lacking = now ? unknowns() : [];
  const isEmpty = now?.entities && ["deployments", "tasks", "agents", "containers"].every((kind) => entities(kind) === 0);
  return (
    <>
      <Heading title={headline()}>
        <p>
          {now
            ? lacking.length > 0
              ? `Unknown at the moment: ${lacking.join(", ")}.`
              : [`${plural(now.nodes ?? 0, "node")}`, connection.value && `version ${connection.value.version}`].filter(Boolean).join(", ")
            : ""}
        </p>
      </Heading>
      <Freshness of={overview} what="The figures" />
      {isEmpty && <FirstMinute />}
      <Rates />
      <Figures />
      <div class="columns">
        <InProgress />
        <RecentActivity />
      </div>
    </>
  );
}

/** For whoever may read something, but not how the installation is. */
function ReaderOverview(): JSX.Element {
  return (
    <>
      <Heading title="Fanfare">
        <p>How the installation is, is for operators. What may be read with this token is in the menu.</p>
      </Heading>
      {rights.value.reads("deployments") && (
        <div class="columns">
          <InProgress />
          <RecentActivity />
        </div>
      )}
    </>
  );
}

function Rates(): JSX.Element {
  const hour = query.value.get("span") === "hour";
  const now = overview.current.value;
  const moments: Point[] = hour ? [...(overview.value.value?.history ?? []).map(pointOf), ...seen.value.slice(-1)] : [...seen.value];
  return (
    <section class="rates" aria-label="Live rates">
      <div class="rate">
        <strong>{now?.rates?.recorded == null ? <span class="nothing">{UNKNOWN}</span> : decimal(now.rates.recorded)}</strong>
        <span>events a second, all nodes</span>
        <Choice
          label="Span"
          value={hour ? "hour" : "now"}
          choose={(value) => filter({ span: value === "hour" ? "hour" : "" })}
          options={[["now", "Minutes"] as const, ["hour", "Hour"] as const]}
        />
      </div>
      <Chart
        label="Events a second"
        unit="/s"
        times={moments.map(({ at }) => at)}
        series={[
          { name: "recorded", values: moments.map(({ recorded }) => recorded) },
          { name: "delivered", values: moments.map(({ delivered }) => delivered) },
        ]}
      />
    </section>
  );
}

/** A moment of the history, whichever way it names its rates. */
function pointOf(moment: Moment): Point {
  const { recorded = null, delivered = null } = moment.rates ?? moment;
  return { at: moment.at, recorded, delivered };
}

function Figures(): JSX.Element {
  const now = overview.current.value;
  const tail = now?.delivery_ms?.p99 ?? null;
  const waiting = waitingEntries();
  const dead = now?.dead?.total ?? null;
  const figures: [string, string, string, string?][] = [
    ["Connections", known(now?.connections), now?.nodes == null ? "on how many nodes is unknown" : `on ${plural(now.nodes, "node")}`, to("connections")],
    ["Delivered", known(now?.rates?.delivered, decimal), "frames a second"],
    ["Delivery", known(now?.delivery_ms?.p50, duration), tail === null ? "how long it takes is unknown" : `median, 99 % within ${duration(tail)}`],
    ["Waiting", known(waiting), waiting === null ? "unknown" : "entries not yet recorded", to("fleet")],
    ["Dead letters", known(dead), dead === null ? "unknown" : "entries refused", to("dead")],
  ];
  return (
    <dl class={`figures${overview.stale.value ? " old" : ""}`}>
      {figures.map(([name, value, note, href]) => (
        <div key={name}>
          <dt>{href ? <a href={href}>{name}</a> : name}</dt>
          <dd>
            <strong class={value === UNKNOWN ? "nothing" : ""}>{value}</strong>
            <span>{note}</span>
          </dd>
        </div>
      ))}
    </dl>
  );
}

function InProgress(): JSX.Element {
  const list = useList(deployments, NEWEST);
  const going = list.rows.value.filter(({ status }) => OPEN.includes(status)).slice(0, 6);
  const failed = list.rows.value.filter(({ status }) => FAILED.includes(status)).slice(0, 3);
  const counts = list.byStatus.value;
  const more = counts === null ? 0 : OPEN.reduce((all, status) => all + (counts[status] ?? 0), 0) - going.length;
  const isKnown = list.readAt.value !== null && !list.failure.value && calm.value;
  return (
    <section aria-labelledby="in-progress">
      <h2 id="in-progress">
        <a href={to("deployments")}>In progress</a>
      </h2>
      {list.readAt.value === null && !list.failure.value ? (
        <Skeleton rows={3} />
      ) : !isKnown && going.length === 0 ? (
        <Unknown what="What is in progress" />
      ) : going.length === 0 ? (
        <p class="quiet">No deployment is running.</p>
      ) : (
        <ul class="plain going">
          {going.map(({ id, stage, status, progress = 0 }) => (
            <li key={id}>
              <a href={to("deployments", id)}>{id}</a>
              <span class="stage">{stage}</span>
              <span class="percent">{Math.round(progress)} %</span>
              <Progress value={progress} status={status} label={`Progress of ${id}`} />
            </li>
          ))}
        </ul>
      )}
      {more > 0 && (
        <p class="quiet">
          <a href={to("deployments")}>and {count(more)} more</a>
        </p>
      )}
      {failed.length > 0 && (
        <>
          <h2>Failed</h2>
          <ul class="plain alerts-brief">
            {failed.map(({ id, timestamp }) => (
              <li key={id}>
                <Dot tone="bad" />
                <a href={to("deployments", id)}>{id}</a>
                <Ago at={timestamp} />
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

const NEWEST = { status: "", q: "", sort: "" };
