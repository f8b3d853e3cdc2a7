/** Work that waits for an agent, groups of tasks, and how tasks fared. */

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { rights } from "../credential.ts";
import { duration, full, known, UNKNOWN } from "../format.ts";
import { api } from "../gateway.ts";
import { calm } from "../installation.ts";
import { Resource, useResource } from "../resource.ts";
import { filter, query, to } from "../router.ts";
import { Ago, Choice, Empty, Freshness, Heading, Skeleton, Status, Sure, Unknown } from "../ui/bits.tsx";

type Known = number | null;

interface QueueAnswer {
  pending: Known;
  waiting: { requires: string[] | null; agent: string | null; priority: Known; count: Known; oldest_at: Known }[] | null;
  held: { not_before: Known; dependency: Known; backoff: Known } | null;
  agents: { free: Known; busy: Known; slots: Known; taken: Known } | null;
}

const queue = new Resource<QueueAnswer>("/v1/queue");

export function Queue(): JSX.Element {
  useResource(queue);
  const now = queue.current.value;
  const [held, agents] = [now?.held, now?.agents];
  const figures: [string, string, string][] = [
    ["Waiting", known(now?.pending), "tasks without an agent"],
    ["Held back", held ? `${known(held.not_before)} · ${known(held.dependency)} · ${known(held.backoff)}` : UNKNOWN, "by time · by others · between attempts"],
    ["Agents", agents ? `${known(agents.free)} of ${known(agents.free === null || agents.busy === null ? null : agents.free + agents.busy)}` : UNKNOWN, "free"],
    ["Slots", agents ? `${known(agents.taken)} of ${known(agents.slots)}` : UNKNOWN, "taken"],
  ];
  return (
    <>
      <Heading title="Queue" back={<a href={to("tasks")}>Tasks</a>}>
        <p>Tasks for one agent, and who could take them.</p>
      </Heading>
      <Freshness of={queue} what="The queue" />
      <dl class="figures four">
        {figures.map(([name, value, note]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              <strong class={value === UNKNOWN ? "nothing" : ""}>{value}</strong>
              <span>{note}</span>
            </dd>
          </div>
        ))}
      </dl>
      {queue.readAt.value === null && !queue.failure.value && <Skeleton rows={3} />}
      {!now ? (
        queue.failure.value && <Unknown what="What waits" />
      ) : !now.waiting ? (
        <Unknown what="What waits" />
      ) : now.waiting.length === 0 ? (
        calm.value ? (
          <Empty title="No task waits for an agent" />
        ) : (
          <Unknown what="What else waits" />
        )
      ) : (
        <table>
          <thead>
            <tr>
              <th scope="col">Needs</th>
              <th scope="col">Priority</th>
              <th scope="col" class="number">
                Tasks
              </th>
              <th scope="col" class="right">
                Oldest
              </th>
            </tr>
          </thead>
          <tbody>
            {now.waiting.map(({ requires, agent, priority, count, oldest_at }, index) => (
              <tr key={index}>
                <th scope="row">{agent ? `agent ${agent}` : requires?.join(", ") || "any agent"}</th>
                <td>{known(priority)}</td>
                <td class="number">{known(count)}</td>
                <td class="when">
                  <Ago at={oldest_at} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}

interface Group {
  group: string;
  closed: boolean;
  total: Known;
  by_status: Record<string, number> | null;
}

export function GroupPage({ id }: { id: string }): JSX.Element {
  const path = `/v1/groups/${encodeURIComponent(id)}`;
  const group = useResource(useMemo(() => new Resource<Group>(path), [path]));
  const now = group.value.value;
  const cancel = async (): Promise<string> => `${full((await api<{ cancelled: number }>(`${path}/cancel`, "POST", {})).cancelled)} cancelled`;
  return (
    <>
      <Heading
        title={id}
        back={<a href={to("tasks")}>Tasks</a>}
        aside={
          now &&
          !now.closed &&
          rights.value.publishes("tasks") && (
            <Sure question="Really cancel all of it?" act={cancel}>
              Cancel the group
            </Sure>
          )
        }
      >
        <p>{now ? `${known(now.total)} tasks${now.closed ? ", closed" : ""}` : group.failure.value ? "What is in this group is unknown." : "Reading…"}</p>
      </Heading>
      <Freshness of={group} what="The group" />
      <ul class="plain parts">
        {Object.entries(now?.by_status ?? {}).map(([status, amount]) => (
          <li key={status}>
            <Status status={status} /> <b>{full(amount)}</b>
          </li>
        ))}
      </ul>
    </>
  );
}

interface Analysis {
  since: number;
  rows: {
    key: string | null;
    count: Known;
    completed: Known;
    failed: Known;
    cancelled: Known;
    expired: Known;
    retries: Known;
    failure_rate: Known;
    wait_ms: { p50: Known; p95: Known } | null;
    run_ms: { p50: Known; p95: Known } | null;
  }[];
}

const BY = ["executor", "agent", "capability", "status", "hour"] as const;
const SPANS = { "1": "Hour", "24": "Day", "168": "Week" } as const;
const EVERY_MS = 15_000;

export function Analytics(): JSX.Element {
  const by = query.value.get("by") ?? "executor";
  const hours = query.value.get("hours") ?? "24";
  const address = (): string => `/v1/analytics/tasks?by=${by}&since=${Date.now() - Number(hours) * 3_600_000}`;
  const analysis = useResource(useMemo(() => new Resource<Analysis>(address, EVERY_MS), [by, hours]));
  const rows = analysis.value.value?.rows;
  const span = (of: { p50: Known; p95: Known } | null): string => `${known(of?.p50, duration)} · ${known(of?.p95, duration)}`;
  return (
    <>
      <Heading title="Task analytics" back={<a href={to("tasks")}>Tasks</a>}>
        <p>How long tasks waited and ran (median · 95 %), and how they ended.</p>
      </Heading>
      <Freshness of={analysis} what="The analysis" />
      <div class="tools">
        <Choice label="By" value={by} choose={(value) => filter({ by: value })} options={BY.map((one) => [one, `By ${one}`] as const)} />
        <Choice label="Span" value={hours} choose={(value) => filter({ hours: value })} options={Object.entries(SPANS)} />
      </div>
      {!rows && !analysis.failure.value && <Skeleton />}
      {!rows && analysis.failure.value && <Unknown what="How tasks fared" />}
      {rows?.length === 0 && !analysis.stale.value && <Empty title="No task in this time" />}
      {rows && rows.length > 0 && (
        <table class={analysis.stale.value ? "old" : ""}>
          <thead>
            <tr>
              {["Key", "Tasks", "Failed", "Retries", "Waited", "Ran"].map((name, index) => (
                <th scope="col" key={name} class={index > 0 ? `number${index === 3 ? " wide" : ""}` : ""}>
                  {index === 0 ? by : name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={String(row.key)}>
                <th scope="row">{by === "hour" && row.key ? new Date(Number(row.key) || row.key).toLocaleString() : (row.key ?? "none")}</th>
                <td class="number">{known(row.count)}</td>
                <td class="number">{known(row.failure_rate, (rate) => `${Math.round(rate * 100)} %`)}</td>
                <td class="number wide">{known(row.retries)}</td>
                <td class="number">{span(row.wait_ms)}</td>
                <td class="number">{span(row.run_ms)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}
