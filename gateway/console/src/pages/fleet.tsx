/** The fleet: every node as it is, who owns which stream, and how far the workers are. */

import type { JSX } from "preact";
import { now } from "../clock.ts";
import { count, duration, known, plural, time, UNKNOWN } from "../format.ts";
import { calm, missing, type Node, nodes, overview, reason, SILENT_MS, silence, sum } from "../installation.ts";
import { useResource } from "../resource.ts";
import { to, withQuery } from "../router.ts";
import { Ago, Dot, Freshness, Heading, Skeleton, Status, type Tone, Unknown } from "../ui/bits.tsx";

/** What the protocols are called here. */
export const DIALECTS: Record<string, string> = {
  native: "Fanfare",
  sse: "Fanfare (SSE)",
  deployments: "Deployments",
  cockpit: "Agents (cockpit)",
  cloud_agents: "Cloud agents",
  zerostate: "Dashboards",
  containers: "Containers",
};

const STREAMS = ["deployments", "tasks", "agents", "containers", "messages", "topics"];

export function Fleet(): JSX.Element {
  useResource(nodes);
  useResource(overview);
  const all = nodes.value.value?.nodes ?? [];
  return (
    <>
      <Heading title="Fleet">
        <p>{nodes.readAt.value === null ? (nodes.failure.value ? "Which nodes there are is unknown." : "Reading…") : summary(all)}</p>
      </Heading>
      <Freshness of={nodes} what="The nodes" />
      {nodes.value.value === null && !nodes.failure.value && <Skeleton />}
      {all.length + missing.value.length > 0 && (
        <table class={`fleet${nodes.stale.value ? " old" : ""}`}>
          <thead>
            <tr>
              <th scope="col">Node</th>
              <th scope="col">Role</th>
              <th scope="col" class="number">
                Connections
              </th>
              <th scope="col" class="number wide">
                Behind
              </th>
              <th scope="col" class="wide">
                Owns
              </th>
              <th scope="col" class="right">
                Last seen
              </th>
            </tr>
          </thead>
          <tbody>
            {all.map((node) => (
              <NodeRow key={node.node} node={node} />
            ))}
            {missing.value.map(({ node, lastAt }) => (
              <tr key={node.node} class="done">
                <th scope="row">
                  <Status status="silent">{node.node}</Status>
                  <span class="sub indent">left or lost since {time(lastAt)}</span>
                </th>
                <td>{node.role}</td>
                <td class="number">{UNKNOWN}</td>
                <td class="number wide">{UNKNOWN}</td>
                <td class="wide">{UNKNOWN}</td>
                <td class="when">
                  <Ago at={lastAt} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {nodes.value.value === null && nodes.failure.value && <Unknown what="Which nodes there are" />}
      <Streams all={all} />
    </>
  );
}

function summary(all: readonly Node[]): string {
  const silent = missing.value.length + all.filter((node) => (silence(node) ?? 0) > SILENT_MS).length;
  const draining = all.filter((node) => node.draining).length;
  const versions = [...new Set(all.map(({ version }) => version))];
  const parts = [plural(all.length, "node")];
  if (silent > 0) parts.push(`${silent} silent`);
  if (draining > 0) parts.push(`${draining} draining`);
  if (versions.length > 1) parts.push(`versions ${versions.join(" and ")}`);
  else if (versions[0]) parts.push(`version ${versions[0]}`);
  return parts.join(", ");
}

/** What a node is like, in a word. */
function condition(node: Node): [tone: Tone, word: string] {
  const quiet = silence(node);
  if (quiet !== null && quiet > SILENT_MS) return ["warn", `silent for ${duration(quiet)}`];
  if (node.draining) return ["live", "draining"];
  if (node.degraded) return ["warn", reason(node.degraded)];
  return nodes.stale.value || quiet === null ? ["idle", "unknown"] : ["good", "serving"];
}

function NodeRow({ node }: { node: Node }): JSX.Element {
  const [tone, word] = condition(node);
  const kinds = Object.entries(node.connections ?? {}).filter(([, open]) => open > 0);
  const connections = node.connections === null ? null : kinds.reduce((all, [, open]) => all + open, 0);
  const lag = node.lag === null ? null : sum(Object.values(node.lag).map((one) => one?.entries ?? null));
  return (
    <tr>
      <th scope="row">
        <span class={`status ${tone}`}>
          <Dot tone={tone} />
          {node.node}
        </span>
        <span class="sub indent">
          {word}, {node.version}
          {node.since !== null && <>, up {duration(Math.max(0, now.value - node.since))}</>}
        </span>
      </th>
      <td>{node.role === "all" ? "gateway and worker" : node.role}</td>
      <td class="number">
        {node.role === "worker" ? (
          <span class="muted">—</span>
        ) : (
          <>
            <a href={withQuery(to("connections"), { node: node.node })}>{known(connections)}</a>
            <span class="sub">
              {kinds.map(([kind, open]) => `${DIALECTS[kind] ?? kind} ${count(open)}`).join(", ")}
              {node.slow !== null && node.slow > 0 && <b class="warn"> {plural(node.slow, "slow listener")}</b>}
            </span>
          </>
        )}
      </td>
      <td class="number wide">{node.role === "gateway" ? <span class="muted">—</span> : known(lag)}</td>
      <td class="wide leases">
        {node.role === "gateway" ? (
          <span class="muted">—</span>
        ) : node.leases === null ? (
          UNKNOWN
        ) : (
          node.leases.map((lease) => (
            <span key={lease} class="lease mono">
              {lease}
            </span>
          ))
        )}
      </td>
      <td class="when">
        <Ago at={node.heard_at} />
      </td>
    </tr>
  );
}

function Streams({ all }: { all: readonly Node[] }): JSX.Element {
  const lag = overview.current.value?.lag ?? null;
  const names = [...new Set([...STREAMS, ...Object.keys(lag ?? {}), ...all.flatMap(({ leases }) => leases ?? [])])];
  const waiting = lag === null ? null : sum(Object.values(lag).map((one) => one?.entries ?? null));
  return (
    <section class="dead" aria-labelledby="streams">
      <h2 id="streams">Streams</h2>
      <p class="lede">
        {waiting === null
          ? "How far the workers are is unknown."
          : waiting > 0
            ? `${plural(waiting, "entry", "entries")} not yet recorded.`
            : calm.value
              ? "Everything that was appended is recorded."
              : "Nothing waited when it was last measured."}
      </p>
      <Freshness of={overview} what="The lag" />
      <table class="streams">
        <thead>
          <tr>
            <th scope="col">Stream</th>
            <th scope="col" class="number">
              Waiting
            </th>
            <th scope="col" class="number">
              Behind
            </th>
            <th scope="col">Owner</th>
          </tr>
        </thead>
        <tbody>
          {names.map((name) => {
            const owners = all.filter(({ leases }) => leases?.includes(name));
            const one = lag?.[name];
            return (
              <tr key={name}>
                <th scope="row" class="mono">
                  {name}
                </th>
                <td class="number">{known(one?.entries)}</td>
                <td class="number">{known(one?.seconds, (seconds) => (seconds === 0 ? "0" : duration(seconds * 1000)))}</td>
                <td>{owners.length > 0 ? owners.map(({ node }) => node).join(", ") : <span class="muted">{UNKNOWN}</span>}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}
