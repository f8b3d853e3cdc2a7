/** One agent: what it does, its health of the last hour, and its events. */

import type { AgentState } from "fanfare";
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { rights } from "../credential.ts";
import { decimal } from "../format.ts";
import { calm } from "../installation.ts";
import { Resource, useResource } from "../resource.ts";
import { to, withQuery } from "../router.ts";
import { Ago, Freshness, Heading, Progress, Status } from "../ui/bits.tsx";
import { Chart } from "../ui/chart.tsx";
import { Events, useChannel } from "../ui/events.tsx";
import { doing } from "./agents.tsx";

interface Health {
  agent: string;
  samples: ({ at: number } & Record<string, number | null>)[];
}

const EVERY_MS = 10_000;
/** These are parts of a whole. */
const PARTS = ["cpu", "memory", "disk"];

export function AgentPage({ id }: { id: string }): JSX.Element {
  const health = useResource(useMemo(() => new Resource<Health>(`/v1/agents/${encodeURIComponent(id)}/health`, EVERY_MS), [id]));
  const { state, events } = useChannel(`agent:${id}`);
  const agent = state.value as AgentState | null;
  const samples = health.value.value?.samples ?? [];
  const names = [...new Set(samples.flatMap((sample) => Object.keys(sample)))].filter((name) => name !== "at");
  return (
    <>
      <Heading
        title={agent?.agentName ?? id}
        back={<a href={to("agents")}>Agents</a>}
        aside={
          rights.value.operator && (
            <a class="button" href={withQuery(to("connections"), { user: id })}>
              Connections
            </a>
          )
        }
      >
        {agent ? (
          <p class="facts">
            <Status status={doing({ ...agent, id })} />
            <span class="mono">{id}</span>
            {agent.currentTask && <span>{agent.currentTask}</span>}
            <span>
              last seen <Ago at={agent.updated_at} />
            </span>
          </p>
        ) : (
          <p>{events.loading.value ? "Reading…" : events.error.value || !calm.value ? "What it is at is unknown." : "No event of this agent yet."}</p>
        )}
      </Heading>
      {agent && typeof agent.progress === "number" && agent.currentTask && (
        <div class="headline">
          <Progress large value={agent.progress} status="running" label="Progress" />
        </div>
      )}
      <section aria-labelledby="health" class="health">
        <h2 id="health">Health</h2>
        <Freshness of={health} what="The health" />
        {health.current.value && samples.length === 0 && calm.value && <p class="quiet">It reported no figures in the last hour.</p>}
        <div class="charts">
          {names.map((name) => (
            <Chart
              key={name}
              label={name}
              unit={PARTS.includes(name) ? " %" : ""}
              show={decimal}
              times={samples.map(({ at }) => at)}
              series={[{ name, values: samples.map((sample) => scaled(name, sample[name] ?? null)) }]}
            />
          ))}
        </div>
      </section>
      <Events events={events} title="Events" />
    </>
  );
}

const scaled = (name: string, value: number | null): number | null => (value !== null && PARTS.includes(name) ? value * 100 : value);
