/** How the house is: one sentence, the live rates, what runs, what needs somebody. */

import { useSignalEffect } from "@preact/signals";
import type { EventFrame } from "fanfare";
import type { JSX } from "preact";
import { now } from "../clock.ts";
import { deployments, openAlerts, recent, running } from "../collection.ts";
import { count, decimal, duration, plural, sentence } from "../format.ts";
import { connection, connectionState, degraded } from "../gateway.ts";
import { delivery, followMetrics, metricsError, points, scrape } from "../metrics.ts";
import { by, total } from "../prometheus.ts";
import { to } from "../router.ts";
import { Ago, Dot, Empty, Heading, Progress, Skeleton, Status, toneOf } from "../ui/bits.tsx";
import { Chart } from "../ui/chart.tsx";

const GRAVITY: readonly string[] = ["critical", "warning", "info"];
/** In place of a number that is not known yet. */
const NOTHING = <span class="nothing">–</span>;

/** The state of the house in one sentence. */
function headline(): string {
  if (connectionState.value !== "connected") return "Looking for the server.";
  if (degraded.value) return "Degraded, and catching up by itself.";
  const failing = openAlerts.value.filter(({ severity }) => severity === "critical").length;
  if (failing > 0) return failing === 1 ? "One thing needs you." : `${count(failing)} things need you.`;
  if (running.value.length > 0)
    return running.value.length === 1 ? "One deployment is on its way." : `${count(running.value.length)} deployments are on their way.`;
  return "All is well.";
}

export function Overview(): JSX.Element {
  useSignalEffect(followMetrics);
  const latest = points.value.at(-1);
  const started = total(scrape.value, "process_start_time_seconds");
  return (
    <>
      <Heading title={headline()}>
        <p>
          {degraded.value
            ? `${sentence(degraded.value)}. Connections stay open and nothing recorded is lost.`
            : [started !== null && `Up for ${duration(now.value - started * 1000)}`, connection.value && `version ${connection.value.version}`]
                .filter(Boolean)
                .join(", ")}
        </p>
      </Heading>
      <section class="rates" aria-label="Live rates">
        <div class="rate">
          <strong>{latest ? decimal(latest.recorded) : NOTHING}</strong>
          <span>events a second</span>
        </div>
        <Chart points={points.value} />
      </section>
      {metricsError.value && <p class="note">/metrics cannot be read from here ({metricsError.value}) Rates are missing, the rest is live.</p>}
      <Figures />
      <div class="columns">
        <InProgress />
        <RecentActivity />
      </div>
    </>
  );
}

function Figures(): JSX.Element {
  const from = scrape.value;
  const dialects = by(from, "fanfare_gateway_connections", "dialect");
  const lag = total(from, "fanfare_worker_lag_entries");
  const latest = points.value.at(-1);
  const [median, tail] = delivery.value ?? [];
  const seconds = (value: number | undefined): JSX.Element | string => (value === undefined ? NOTHING : duration(value * 1000));
  const figures: [string, JSX.Element | string, string, string?][] = [
    [
      "Connections",
      from ? count([...dialects.values()].reduce((sum, one) => sum + one, 0)) : NOTHING,
      `on this node, ${plural([...dialects.values()].filter((one) => one > 0).length, "protocol")}`,
      to("connections"),
    ],
    ["Delivered", latest ? decimal(latest.delivered) : NOTHING, "frames a second"],
    ["Delivery", seconds(median), tail === undefined ? "nothing in the last minute" : `median, 99 % within ${duration(tail * 1000)}`],
    ["Waiting", lag === null ? NOTHING : count(lag), lag === null ? "not measured at this address" : "entries not yet recorded", to("streams")],
  ];
  return (
    <dl class="figures">
      {figures.map(([name, value, note, href]) => (
        <div key={name}>
          <dt>{href ? <a href={href}>{name}</a> : name}</dt>
          <dd>
            <strong>{value}</strong>
            <span>{note}</span>
          </dd>
        </div>
      ))}
    </dl>
  );
}

function InProgress(): JSX.Element {
  const rows = running.value.slice(0, 6);
  const alerts = [...openAlerts.value].sort((a, b) => GRAVITY.indexOf(a.severity) - GRAVITY.indexOf(b.severity)).slice(0, 3);
  return (
    <section aria-labelledby="in-progress">
      {alerts.length > 0 && (
        <>
          <h2>
            <a href={to("alerts")}>Open alerts</a>
          </h2>
          <ul class="plain alerts-brief">
            {alerts.map((alert) => (
              <li key={alert.id}>
                <Dot tone={toneOf(alert.severity)} />
                <span>{alert.title}</span>
                <Ago at={alert.changed} />
              </li>
            ))}
          </ul>
        </>
      )}
      <h2 id="in-progress">
        <a href={to("deployments")}>In progress</a>
      </h2>
      {deployments.phase.value === "loading" ? (
        <Skeleton rows={3} />
      ) : rows.length === 0 ? (
        <p class="quiet">No deployment is running.</p>
      ) : (
        <ul class="plain going">
          {rows.map((row) => (
            <li key={row.id}>
              <a href={to("deployments", row.id)}>{row.id}</a>
              <span class="stage">{row.stage}</span>
              <span class="percent">{Math.round(row.progress)} %</span>
              <Progress value={row.progress} status={row.status} label={`Progress of ${row.id}`} />
            </li>
          ))}
        </ul>
      )}
      {running.value.length > rows.length && (
        <p class="quiet">
          <a href={to("deployments")}>and {count(running.value.length - rows.length)} more</a>
        </p>
      )}
    </section>
  );
}

/** What an event says, in a few words. */
function gist({ event, data }: EventFrame): string {
  const text = (key: string): string => (typeof data[key] === "string" ? (data[key] as string) : "");
  const named = text("stage") || text("title") || text("currentTask") || text("message") || text("status") || text("state");
  if (named) return named;
  if (Array.isArray(data.repos)) return plural(data.repos.length, "repository", "repositories");
  if (Array.isArray(data.lines)) return plural(data.lines.length, "line");
  return event.replace(/_/g, " ");
}

function hrefOf({ channel, id }: EventFrame): string {
  if (id && channel === "deployments") return to("deployments", id);
  if (id && channel === "tasks") return to("tasks", id);
  return to(["agents", "repos", "alerts"].includes(channel) ? channel : "inspector");
}

function RecentActivity(): JSX.Element {
  const rows = [...recent.value].sort((a, b) => b.at - a.at).slice(0, 9);
  return (
    <section aria-labelledby="recent">
      <h2 id="recent">
        <a href={to("inspector")}>Recent activity</a>
      </h2>
      {rows.length === 0 ? (
        <Empty title="Nothing has happened yet">
          <p>
            Events appear here as they are recorded. Publish one by hand in the <a href={to("inspector")}>inspector</a>.
          </p>
        </Empty>
      ) : (
        <ol class="plain recent">
          {rows.map((event) => (
            <li key={`${event.channel}/${event.position}`}>
              <Status status={String(event.data.status ?? event.data.state ?? event.data.severity ?? "")}>
                <a href={hrefOf(event)}>{event.id ?? event.channel}</a>
              </Status>
              <span class="gist">{gist(event)}</span>
              <Ago at={event.at} />
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}
