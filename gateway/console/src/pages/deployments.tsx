/** Deployments: the list, and one of them with its stages and its log. */

import type { DeploymentState } from "fanfare";
import type { JSX } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import { now } from "../clock.ts";
import { type Deployment, deployments, RUNNING } from "../collection.ts";
import { count, duration } from "../format.ts";
import { Log, type Stage } from "../log.ts";
import { to } from "../router.ts";
import { Ago, Dot, Empty, Failure, Heading, Progress, Status, toneOf } from "../ui/bits.tsx";
import { Listing } from "../ui/listing.tsx";
import { LogView } from "../ui/log-view.tsx";

type Filter = "all" | "running" | "good" | "bad";

const FILTERS: Record<Filter, (row: Deployment) => boolean> = {
  all: () => true,
  running: ({ status }) => RUNNING.has(status),
  good: ({ status }) => status === "success",
  bad: ({ status }) => status === "error" || status === "abandoned",
};

export function Deployments(): JSX.Element {
  return (
    <Listing
      title="Deployments"
      lede={(rows) => {
        const going = rows.filter(FILTERS.running).length;
        return going > 0 ? `${count(going)} in progress` : "None in progress";
      }}
      collection={deployments}
      filters={FILTERS}
      names={{ all: "All", running: "In progress", good: "Succeeded", bad: "Failed" }}
      words={(row) => `${row.id} ${row.projectId} ${row.stage}`}
      columns={["Deployment", "Stage", "Progress", "Status", "Changed"]}
      empty={
        <Empty title="No deployment yet">
          <p>
            One <code>XADD fanfare:deployments</code> is enough, or <code>fanfare demo</code> for a whole platform.
          </p>
        </Empty>
      }
    >
      {(row) => (
        <tr key={row.id}>
          <th scope="row">
            <a class="cover" href={to("deployments", row.id)}>
              {row.id}
            </a>
          </th>
          <td class="wide ellipsis">{row.stage}</td>
          <td class="bar">
            <Progress value={row.progress} status={row.status} label={`Progress of ${row.id}`} />
          </td>
          <td class="fit">
            <Status status={row.status} />
          </td>
          <td class="when">
            <Ago at={row.changed} />
          </td>
        </tr>
      )}
    </Listing>
  );
}

export function DeploymentPage({ id }: { id: string }): JSX.Element {
  const log = useMemo(() => new Log(`deployment:${id}`), [id]);
  useEffect(() => () => log.close(), [log]);
  const state = (log.state.value ?? deployments.get(id) ?? null) as DeploymentState | null;
  const stages = log.stages.value;
  const first = stages[0];
  const end = stages.at(-1)?.until;
  const running = state !== null && RUNNING.has(state.status);
  const took = first && (end ?? (running ? now.value : null));
  return (
    <>
      <Heading back={<a href={to("deployments")}>Deployments</a>} title={id}>
        {state ? (
          <p class="facts">
            <Status status={state.status} />
            <span>{state.stage}</span>
            {took && first && <span>{running ? `for ${duration(took - first.from)}` : `took ${duration(took - first.from)}`}</span>}
            {state.deploymentUrl && (
              <a href={state.deploymentUrl} rel="noreferrer" target="_blank">
                {state.deploymentUrl.replace(/^https?:\/\//, "")}
              </a>
            )}
          </p>
        ) : (
          <p>{log.loading.value ? "Reading…" : "No event of this deployment yet. New ones appear here."}</p>
        )}
      </Heading>
      {log.error.value && <Failure message={log.error.value} />}
      {state && (
        <div class="headline">
          <Progress large value={state.progress} status={state.status} label="Progress" />
          <span class="percent">{Math.round(state.progress)} %</span>
        </div>
      )}
      <div class="detail">
        <Stages stages={stages} status={state?.status ?? "pending"} current={state?.stage} />
        <LogView key={id} log={log} label={`Log of ${id}`} />
      </div>
    </>
  );
}

/** `current`: the stage that the state names, where the archive no longer tells how it came to it. */
function Stages({ stages, status, current }: { stages: readonly Stage[]; status: string; current: string | undefined }): JSX.Element {
  const [longest] = stages.map(({ from, until }) => (until ?? now.value) - from).sort((a, b) => b - a);
  return (
    <section class="stages" aria-labelledby="stages">
      <h2 id="stages">Stages</h2>
      {stages.length === 0 && <p class="quiet">{current ? <Status status={status}>{current}</Status> : "No stage yet."}</p>}
      <ol>
        {stages.map((stage, index) => {
          const last = index === stages.length - 1;
          const tone = last ? toneOf(status) : "good";
          const ms = (stage.until ?? (RUNNING.has(status) ? now.value : stage.from)) - stage.from;
          return (
            <li key={`${index}/${stage.name}`} aria-current={last && RUNNING.has(status) ? "step" : undefined}>
              <Dot tone={tone} />
              <span class="name">{stage.name}</span>
              <span class="took">{ms > 0 ? duration(ms) : ""}</span>
              {ms > 0 && (
                <span class="share" aria-hidden="true">
                  <span style={{ width: `${Math.max(1, (100 * ms) / Math.max(1, longest ?? 1))}%` }} />
                </span>
              )}
            </li>
          );
        })}
      </ol>
    </section>
  );
}
