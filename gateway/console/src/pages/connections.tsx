/** Who is connected, over all nodes: by user or channel, who is behind, and cutting off. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import { count, known, plural } from "../format.ts";
import { api } from "../gateway.ts";
import { nodes } from "../installation.ts";
import { Resource, useResource } from "../resource.ts";
import { filter, query, to } from "../router.ts";
import { Ago, Choice, Empty, Freshness, Heading, Skeleton, Sure, Unknown } from "../ui/bits.tsx";
import { Words } from "../ui/listing.tsx";
import { DIALECTS } from "./fleet.tsx";

interface Open {
  connection: string;
  node: string;
  dialect: string;
  user: string | null;
  channels: number;
  behind?: number | null;
  connected_at: number | string;
}

interface Answer {
  connections: Open[];
  count: number | null;
  next: string | null;
}

const PAGE = 200;
const MORE_MAX = 2000;

const since = ({ connected_at }: Open): number => (typeof connected_at === "number" ? connected_at : Date.parse(connected_at));

export function Connections(): JSX.Element {
  const [user, channel, node] = ["user", "channel", "node"].map((key) => query.value.get(key) ?? "") as [string, string, string];
  const asked = new URLSearchParams({ limit: String(PAGE) });
  for (const [key, value] of Object.entries({ user, channel, node })) if (value) asked.set(key, value);
  const address = `/v1/connections?${asked}`;
  const first = useMemo(() => new Resource<Answer>(address), [address]);
  useResource(first);
  useResource(nodes);
  const later = useSignal<Answer | null>(null);
  useEffect(() => void (later.value = null), [address, later]);
  const answer = first.value.value;
  const more = async (): Promise<void> => {
    const cursor = later.value ? later.value.next : answer?.next;
    if (!cursor) return;
    const page = await api<Answer>(`${address}&cursor=${encodeURIComponent(cursor)}`);
    later.value = { ...page, connections: [...(later.value?.connections ?? []), ...page.connections].slice(-MORE_MAX) };
  };
  const there = new Set(answer?.connections.map((one) => one.connection));
  const all = [...(answer?.connections ?? []), ...(later.value?.connections ?? []).filter((one) => !there.has(one.connection))];
  const rows = all.filter((one) => !node || one.node === node);
  const next = later.value ? later.value.next : answer?.next;
  const names = (nodes.value.value?.nodes ?? []).filter(({ role }) => role !== "worker").map(({ node }) => node);
  return (
    <>
      <Heading title="Connections">
        <p>
          {answer
            ? `${known(answer.count)} open${user ? ` of “${user}”` : ""}${channel ? ` on ${channel}` : ""}${first.stale.value ? " when last read" : ""}`
            : first.failure.value
              ? "Who is connected is unknown."
              : "Reading…"}
        </p>
      </Heading>
      <Freshness of={first} what="The connections" />
      <div class="tools">
        <Choice
          label="Node"
          value={node || "all"}
          choose={(value) => filter({ node: value === "all" ? "" : value })}
          options={[["all", "All nodes"] as const, ...names.map((name) => [name, name] as const)]}
        />
        <div class="tools-end">
          <Words name="user" value={user} label="Of a user" hint="User" />
          <Words name="channel" value={channel} label="On a channel" hint="Channel" />
        </div>
      </div>
      {!answer && !first.failure.value && <Skeleton />}
      {!answer && first.failure.value && <Unknown what="Who is connected" />}
      {answer &&
        rows.length === 0 &&
        (first.stale.value ? <Unknown what="Who is connected" /> : <Empty title={user || channel || node ? "No such connection" : "No client is connected"} />)}
      {rows.length > 0 && (
        <table class={first.stale.value ? "old" : ""}>
          <thead>
            <tr>
              <th scope="col">User</th>
              <th scope="col">Protocol</th>
              <th scope="col" class="wide">
                Node
              </th>
              <th scope="col" class="number wide">
                Channels
              </th>
              <th scope="col" class="number wide">
                Behind
              </th>
              <th scope="col" class="right">
                Since
              </th>
              <th scope="col">
                <span class="hidden">Cut off</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map((one) => (
              <tr key={one.connection}>
                <th scope="row">
                  {one.user ? <a href={to("users", one.user)}>{one.user}</a> : <span class="muted">anonymous</span>}
                  <span class="sub mono">{one.connection}</span>
                </th>
                <td>{DIALECTS[one.dialect] ?? one.dialect}</td>
                <td class="wide mono">{one.node}</td>
                <td class="wide number">{known(one.channels)}</td>
                <td class={`number${one.behind ? "" : " wide"}`}>{one.behind ? <b class="warn">{plural(one.behind, "event")}</b> : known(one.behind)}</td>
                <td class="when">
                  <Ago at={since(one)} />
                </td>
                <td class="act">{one.user && <CutOff user={one.user} />}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {next && (
        <p class="more">
          <button type="button" onClick={() => void more()}>
            Show more
          </button>
          <span class="quiet">
            {count(rows.length)} of {known(answer?.count)}
          </span>
        </p>
      )}
    </>
  );
}

/** Two clicks, because it hits all connections of the user, on all nodes. */
export function CutOff({ user, denyMs }: { user: string; denyMs?: number }): JSX.Element {
  const act = async (): Promise<string> => {
    const path = `/v1/users/${encodeURIComponent(user)}/connections${denyMs ? `?deny_ms=${denyMs}` : ""}`;
    const { closed } = await api<{ closed: number | null }>(path, "DELETE");
    return closed === null ? "cut off" : `${count(closed)} closed`;
  };
  return (
    <Sure question="Really?" act={act}>
      {denyMs ? "Deny for a day" : "Cut off"}
      <span class="hidden"> {user}</span>
    </Sure>
  );
}
