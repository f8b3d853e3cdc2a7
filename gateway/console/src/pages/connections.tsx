/** Who is connected, by node. */

import { useSignal, useSignalEffect } from "@preact/signals";
import type { JSX } from "preact";
import { every } from "../clock.ts";
import { count, plural } from "../format.ts";
import { api } from "../gateway.ts";
import { Ago, Choice, Empty, Failure, Heading, Skeleton } from "../ui/bits.tsx";

interface Open {
  connection: string;
  node: string;
  dialect: string;
  user: string | null;
  channels: number;
  connected_at: number | string;
}

interface Answer {
  connections: Open[];
  count: number;
  next: string | null;
}

const EVERY_MS = 2000;
const PAGES_MAX = 5;

/** What the protocols are called here. */
const DIALECTS: Record<string, string> = {
  native: "Fanfare",
  sse: "Fanfare (SSE)",
  deployments: "Deployments",
  cockpit: "Agents (cockpit)",
  cloud_agents: "Cloud agents",
  zerostate: "Dashboards",
  containers: "Containers",
};

const since = ({ connected_at }: Open): number => (typeof connected_at === "number" ? connected_at : Date.parse(connected_at));

export function Connections(): JSX.Element {
  const answer = useSignal<Answer | null>(null);
  const error = useSignal("");
  const node = useSignal("all");
  useSignalEffect(() =>
    every(EVERY_MS, () => {
      read().then(
        (value) => {
          answer.value = value;
          error.value = "";
        },
        (failure: Error) => (error.value = failure.message),
      );
    }),
  );
  const all = answer.value?.connections ?? [];
  const nodes = [...Map.groupBy(all, (one) => one.node)].sort(([a], [b]) => a.localeCompare(b));
  const rows = all.filter((one) => node.value === "all" || one.node === node.value);
  return (
    <>
      <Heading title="Connections">
        <p>{answer.value ? `${count(answer.value.count)} open, on ${plural(nodes.length, "node")}` : error.value ? "" : "Reading…"}</p>
      </Heading>
      {error.value && <Failure message={error.value} />}
      {!answer.value && !error.value && <Skeleton />}
      {answer.value && all.length === 0 && <Empty title="No client is connected" />}
      {all.length > 0 && (
        <>
          <ul class="plain nodes">
            {nodes.map(([name, open]) => (
              <Node key={name} name={name} open={open} />
            ))}
          </ul>
          <div class="tools">
            <Choice
              label="Node"
              value={node.value}
              choose={(value) => (node.value = value)}
              options={[["all", "All nodes", all.length] as const, ...nodes.map(([name, open]) => [name, name, open.length] as const)]}
            />
          </div>
          <table>
            <thead>
              <tr>
                {["User", "Protocol", "Channels", "Since", "Disconnect"].map((column, index) => (
                  <th scope="col" key={column} class={index > 1 ? `right${index === 2 ? " wide" : ""}` : ""}>
                    {index === 4 ? <span class="hidden">{column}</span> : column}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.slice(0, 200).map((one) => (
                <tr key={one.connection}>
                  <th scope="row">
                    {one.user ?? <span class="muted">anonymous</span>}
                    <span class="sub mono">{one.connection}</span>
                  </th>
                  <td>{DIALECTS[one.dialect] ?? one.dialect}</td>
                  <td class="wide number">{count(one.channels)}</td>
                  <td class="when">
                    <Ago at={since(one)} />
                  </td>
                  <td class="act">{one.user && <DisconnectUser user={one.user} />}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {answer.value && answer.value.count > rows.length && node.value === "all" && (
            <p class="quiet">
              The first {count(Math.min(200, rows.length))} of {count(answer.value.count)}.
            </p>
          )}
        </>
      )}
    </>
  );
}

async function read(): Promise<Answer> {
  const first = await api<Answer>("/v1/connections?limit=200");
  let { next } = first;
  const connections = [...first.connections];
  for (let page = 1; next && page < PAGES_MAX; page++) {
    const more: Answer = await api<Answer>(`/v1/connections?limit=200&cursor=${encodeURIComponent(next)}`);
    connections.push(...more.connections);
    next = more.next;
  }
  return { ...first, connections };
}

function Node({ name, open }: { name: string; open: Open[] }): JSX.Element {
  const kinds = [...Map.groupBy(open, (one) => one.dialect)].sort(([, a], [, b]) => b.length - a.length);
  return (
    <li>
      <h2>
        {name} <span class="amount">{count(open.length)}</span>
      </h2>
      <div class="shares" aria-hidden="true">
        {kinds.map(([kind, these], index) => (
          <span key={kind} class={`share-${Math.min(index, 5)}`} style={{ flexGrow: these.length }} />
        ))}
      </div>
      <p class="legend">
        {kinds.map(([kind, these], index) => (
          <span key={kind} class={`share-${Math.min(index, 5)}`}>
            {DIALECTS[kind] ?? kind} <b>{count(these.length)}</b>
          </span>
        ))}
      </p>
    </li>
  );
}

/** Two clicks, because it hits all connections of the user, on all nodes. */
function DisconnectUser({ user }: { user: string }): JSX.Element {
  const state = useSignal<"idle" | "sure" | string>("idle");
  const cut = async (): Promise<void> => {
    if (state.value === "idle") return void (state.value = "sure");
    try {
      const { closed } = await api<{ closed: number }>(`/v1/users/${encodeURIComponent(user)}/connections`, "DELETE");
      state.value = `${count(closed)} closed`;
    } catch (error) {
      state.value = (error as Error).message;
    }
  };
  if (state.value !== "idle" && state.value !== "sure") return <span class="muted">{state.value}</span>;
  return (
    <button type="button" class={state.value === "sure" ? "danger" : "subtle"} onClick={() => void cut()} onBlur={() => (state.value = "idle")}>
      {state.value === "sure" ? "Really?" : "Disconnect"}
      <span class="hidden"> {user}</span>
    </button>
  );
}
