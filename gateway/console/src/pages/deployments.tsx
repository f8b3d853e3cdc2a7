/** Deployments: the list, and one of them with its stages and its log. */

import type { DeploymentState } from "fanfare";
import type { JSX } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import { now } from "../clock.ts";
import { duration } from "../format.ts";
import { calm } from "../installation.ts";
import { deployments, FAILED, OPEN } from "../kinds.ts";
import { Log } from "../log/log.ts";
import { LogView } from "../log/log-view.tsx";
import type { Stage } from "../log/stages.ts";
import { point, to } from "../router.ts";
import { Ago, Dot, Empty, Heading, Progress, Status, toneOf } from "../ui/bits.tsx";
import { Listing } from "../ui/listing.tsx";
import { Replay, useReplay } from "../ui/replay.tsx";
import { Share } from "../ui/share.tsx";
import { WhyFailed } from "../ui/why-failed.tsx";
import { DemoButton, firstCommand } from "./first-minute.tsx";

export function Deployments(): JSX.Element {
  return (
    <Listing
      title="Deployments"
      noun={["deployment"]}
      plan={deployments}
      columns={[{ name: "Deployment" }, { name: "Stage", wide: true }, { name: "Progress" }, { name: "Status" }, { name: "Changed", right: true }]}
      empty={
        <Empty title="No deployment yet">
          <p>One command is enough:</p>
          <pre tabIndex={0}>{firstCommand()}</pre>
          <DemoButton />
        </Empty>
      }
    >
      {({ id, stage, progress = 0, status, timestamp }) => (
        <tr key={id}>
          <th scope="row">
            <a class="cover" href={to("deployments", id)}>
              {id}
            </a>
          </th>
          <td class="wide ellipsis">{stage}</td>
          <td class="bar">
            <Progress value={progress} status={status} label={`Progress of ${id}`} />
          </td>
          <td class="fit">
            <Status status={status} />
          </td>
          <td class="when">
            <Ago at={timestamp} />
          </td>
        </tr>
      )}
    </Listing>
  );
}

export function DeploymentPage({ id }: { id: string }): JSX.Element {
  const channel = `deployment:${id}`;
  const log = useMemo(() => new Log(channel), [channel]);
  useEffect(() => () => log.close(), [log]);
  // The stages of what was not read are asked for, once.
  const asks = !log.loading.value && !log.whole;
  useEffect(() => void (asks && log.readStages()), [asks, log]);
  const replay = useReplay(channel);
  const state = (replay.value?.state.value ?? log.state.value) as DeploymentState | null;
  const stages = replay.value?.stages.value ?? log.stages.value;
  const first = stages[0];
  const end = stages.at(-1)?.until;
  const running = state !== null && OPEN.includes(state.status);
  const took = first && (end ?? (running ? now.value : null));
  return (
    <>
      <Heading
        back={<a href={to("deployments")}>Deployments</a>}
        title={id}
        aside={
          <>
            {!running && state && <Replay replay={replay} channel={channel} />}
            <Share channel={channel} />
          </>
        }
      >
        {state ? (
          <p class="facts">
            <Status status={state.status} />
            <span>{state.stage}</span>
            {took && first && <span>{running ? `for ${duration(took - first.from)}` : `took ${duration(took - first.from)}`}</span>}
            {isWeb(state.deploymentUrl) && (
              <a href={state.deploymentUrl} rel="noreferrer noopener" target="_blank">
                {state.deploymentUrl?.replace(/^https?:\/\//, "")}
              </a>
            )}
          </p>
        ) : (
          <p>
            {log.loading.value
              ? "Reading…"
              : log.error.value || !calm.value
                ? "What it is at is unknown."
                : "No event of this deployment yet. New ones appear here."}
          </p>
        )}
      </Heading>
      {state && FAILED.includes(state.status) && <WhyFailed log={log} state={state} />}
      {state && (
        <div class="headline">
          <Progress large value={state.progress ?? 0} status={state.status} label="Progress" />
          <span class="percent">{Math.round(state.progress ?? 0)} %</span>
        </div>
      )}
      <div class="detail">
        <Stages stages={stages} known={!log.loading.value && log.error.value === ""} status={state?.status ?? "pending"} current={state?.stage} />
        {replay.value ? replay.value.view(`Replay of ${id}`) : <LogView key={id} log={log} label={`Log of ${id}`} />}
      </div>
    </>
  );
}

export const isWeb = (href: unknown): href is string => typeof href === "string" && /^https?:\/\//.test(href);

interface StagesProps {
  stages: readonly Stage[];
  /** Whether the log could be read. */
  known: boolean;
  status: string;
  /** The stage that the state names, where the archive no longer tells how it came to it. */
  current: string | undefined;
}

function Stages({ stages, known, status, current }: StagesProps): JSX.Element {
  const [longest] = stages.map(({ from, until }) => (until ?? now.value) - from).sort((a, b) => b - a);
  return (
    <section class="stages" aria-labelledby="stages">
      <h2 id="stages">Stages</h2>
      {stages.length === 0 && (
        <p class="quiet">{current ? <Status status={status}>{current}</Status> : calm.value && known ? "No stage yet." : "Unknown at the moment."}</p>
      )}
      <ol>
        {stages.map((stage, index) => {
          const last = index === stages.length - 1;
          const ms = (stage.until ?? (OPEN.includes(status) ? now.value : stage.from)) - stage.from;
          return (
            <li key={`${stage.event}/${stage.name}`} aria-current={last && OPEN.includes(status) ? "step" : undefined}>
              <Dot tone={last ? toneOf(status) : "good"} />
              <button type="button" class="name link" title="To this stage in the log" onClick={() => point(`L${stage.event}`)}>
                {stage.name}
              </button>
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
