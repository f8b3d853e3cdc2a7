/** Agents, the repositories that they watch, and the alerts that they raise. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { rights } from "../credential.ts";
import { plural } from "../format.ts";
import { api } from "../gateway.ts";
import { type Agent, type Alert, agents, alerts, type Repo, repos } from "../kinds.ts";
import type { List } from "../list.ts";
import { to } from "../router.ts";
import { Ago, Dot, Empty, Failure, Progress, Status, toneOf } from "../ui/bits.tsx";
import { Listing } from "../ui/listing.tsx";

/** What an agent is doing: `state` says more than `status` where both are there. */
export const doing = (agent: Agent): string => (agent.status === "offline" ? "offline" : (agent.state ?? agent.status ?? "unknown"));

const isOnline = (agent: Agent): boolean => agent.status !== "offline" && agent.state !== "stopped";

export function Agents(): JSX.Element {
  return (
    <Listing
      title="Agents"
      noun={["agent"]}
      plan={agents}
      columns={[{ name: "Agent" }, { name: "Activity" }, { name: "Capabilities", wide: true }, { name: "Last seen", right: true }]}
      empty={
        <Empty title="No agents yet">
          <p>
            Agents connect to <code>/api/ws</code>, or speak by <code>agent_status</code> on the stream <code>agents</code>.
          </p>
        </Empty>
      }
    >
      {(row) => (
        <tr key={row.id}>
          <th scope="row">
            <Status status={doing(row)}>
              <a class="cover" href={to("agents", row.id)}>
                {row.agentName ?? row.id}
              </a>
            </Status>
            {row.agentName && row.agentName !== row.id && <span class="sub indent">{row.id}</span>}
          </th>
          <td class="doing">
            <span>{row.currentTask ?? doing(row)}</span>
            {row.currentTask && typeof row.progress === "number" && isOnline(row) && (
              <Progress value={row.progress} status="running" label={`Progress of ${row.agentName ?? row.id}`} />
            )}
          </td>
          <td class="wide muted">{row.capabilities?.join(", ") ?? "—"}</td>
          <td class="when">
            <Ago at={row.updated_at} />
          </td>
        </tr>
      )}
    </Listing>
  );
}

export function Repos(): JSX.Element {
  return (
    <Listing
      title="Repositories"
      noun={["repository", "repositories"]}
      plan={repos}
      columns={[{ name: "Repository" }, { name: "Branch", wide: true }, { name: "Status" }, { name: "Difference" }, { name: "Checked", right: true }]}
      empty={
        <Empty title="No repository is watched">
          <p>
            Agents report theirs with <code>git-status</code>.
          </p>
        </Empty>
      }
    >
      {(row) => (
        <tr key={row.id}>
          <th scope="row">
            {row.name}
            <span class="sub">{row.path}</span>
          </th>
          <td class="wide mono">{row.branch ?? "—"}</td>
          <td class="fit">
            <Status status={row.status ?? "unknown"} />
          </td>
          <td>
            <Difference repo={row} />
          </td>
          <td class="when">
            <Ago at={row.last_checked * 1000} />
          </td>
        </tr>
      )}
    </Listing>
  );
}

function Difference({ repo }: { repo: Repo }): JSX.Element {
  const parts = [repo.ahead_count > 0 && `${repo.ahead_count} ahead`, repo.behind_count > 0 && `${repo.behind_count} behind`].filter(Boolean);
  const files = repo.modifiedFiles ?? [];
  if (repo.uncommitted_count === 0 && parts.length === 0) return <span class="muted">—</span>;
  return (
    <>
      {parts.join(", ")}
      {repo.uncommitted_count > 0 &&
        (files.length > 0 ? (
          <details>
            <summary>{plural(repo.uncommitted_count, "file")} changed</summary>
            <ul class="plain files">
              {files.map((file) => (
                <li key={file}>{file}</li>
              ))}
            </ul>
          </details>
        ) : (
          <span> {plural(repo.uncommitted_count, "file")} changed</span>
        ))}
    </>
  );
}

export function Alerts(): JSX.Element {
  return (
    <Listing
      title="Alerts"
      noun={["alert"]}
      plan={alerts}
      first="open"
      columns={[{ name: "Alert" }, { name: "Source", wide: true }, { name: "Raised", right: true }, { name: "Acknowledge", hidden: true }]}
      empty={
        <Empty title="No alerts">
          <p>
            Alerts come as <code>alert</code> on the stream <code>agents</code>.
          </p>
        </Empty>
      }
    >
      {(row, list) => <AlertRow key={row.id} alert={row} list={list} />}
    </Listing>
  );
}

function AlertRow({ alert, list }: { alert: Alert; list: List<Alert> }): JSX.Element {
  const busy = useSignal(false);
  const error = useSignal("");
  const acknowledge = async (): Promise<void> => {
    busy.value = true;
    error.value = "";
    try {
      await api(`/v1/alerts/${encodeURIComponent(alert.id)}/ack`, "POST");
      await list.read();
    } catch (failure) {
      error.value = (failure as Error).message;
    }
    busy.value = false;
  };
  return (
    <tr class={alert.acknowledged === 1 ? "done" : ""}>
      <th scope="row" class="alert">
        <Dot tone={toneOf(alert.severity)} />
        <span>
          <span class="hidden">{alert.severity}: </span>
          {alert.title}
          {alert.message && <span class="sub">{alert.message}</span>}
          {error.value && <Failure message={error.value} />}
        </span>
      </th>
      <td class="wide muted">{alert.source ?? "—"}</td>
      <td class="when">
        <Ago at={alert.created_at * 1000} />
      </td>
      <td class="act">
        {alert.acknowledged === 1 ? (
          <span class="muted">acknowledged</span>
        ) : (
          rights.value.publishes("agents") && (
            <button type="button" disabled={busy.value} onClick={() => void acknowledge()}>
              Acknowledge
              <span class="hidden"> {alert.title}</span>
            </button>
          )
        )}
      </td>
    </tr>
  );
}
