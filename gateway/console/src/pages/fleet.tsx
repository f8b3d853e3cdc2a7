/** Agents, the repositories that they watch, and the alerts that they raise. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { type Agent, type Alert, agents, alerts, openAlerts, type Repo, repos } from "../collection.ts";
import { count, plural } from "../format.ts";
import { api } from "../gateway.ts";
import { Ago, Dot, Empty, Failure, Progress, Status, toneOf } from "../ui/bits.tsx";
import { Listing } from "../ui/listing.tsx";

/** What an agent is doing: `state` says more than `status` where both are there. */
const doing = (agent: Agent): string => (agent.status === "offline" ? "offline" : (agent.state ?? agent.status ?? "unknown"));

const isOnline = (agent: Agent): boolean => agent.status !== "offline" && agent.state !== "stopped";

export function Agents(): JSX.Element {
  return (
    <Listing
      title="Agents"
      lede={(rows) => `${count(rows.filter(isOnline).length)} of ${count(rows.length)} are online`}
      collection={agents}
      filters={{ all: () => true, online: isOnline, offline: (agent: Agent) => !isOnline(agent) }}
      names={{ all: "All", online: "Online", offline: "Offline" }}
      words={(row) => `${row.id} ${row.agentName} ${row.currentTask ?? ""}`}
      columns={["Agent", "Activity", "Capabilities", "Last seen"]}
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
            <Status status={doing(row)}>{row.agentName}</Status>
            {row.agentName !== row.id && <span class="sub indent">{row.id}</span>}
          </th>
          <td class="doing">
            <span>{row.currentTask ?? doing(row)}</span>
            {row.currentTask && typeof row.progress === "number" && isOnline(row) && (
              <Progress value={row.progress} status="running" label={`Progress of ${row.agentName}`} />
            )}
          </td>
          <td class="wide muted">{row.capabilities?.join(", ") ?? "—"}</td>
          <td class="when">
            <Ago at={row.changed} />
          </td>
        </tr>
      )}
    </Listing>
  );
}

const REPO_FILTERS = {
  all: () => true,
  changed: (repo: Repo) => repo.status !== "clean",
  clean: (repo: Repo) => repo.status === "clean",
};

export function Repos(): JSX.Element {
  return (
    <Listing
      title="Repositories"
      lede={(rows) => `${count(rows.filter(REPO_FILTERS.changed).length)} of ${count(rows.length)} differ from their remote`}
      collection={repos}
      filters={REPO_FILTERS}
      names={{ all: "All", changed: "Changed", clean: "Clean" }}
      words={(row) => `${row.name} ${row.path} ${row.branch ?? ""}`}
      columns={["Repository", "Branch", "Status", "Difference", "Checked"]}
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
            <Ago at={row.changed} />
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
      lede={() => (openAlerts.value.length > 0 ? `${count(openAlerts.value.length)} open` : "None open")}
      collection={alerts}
      filters={{ open: (alert: Alert) => alert.acknowledged !== 1, all: () => true }}
      names={{ open: "Open", all: "All" }}
      words={(row) => `${row.title} ${row.message ?? ""} ${row.source ?? ""}`}
      columns={["Alert", "Source", "Raised", "Acknowledge"]}
      empty={
        <Empty title="Nothing to worry about">
          <p>
            Alerts come as <code>alert</code> on the stream <code>agents</code>.
          </p>
        </Empty>
      }
    >
      {(row) => <AlertRow key={row.id} alert={row} />}
    </Listing>
  );
}

function AlertRow({ alert }: { alert: Alert }): JSX.Element {
  const busy = useSignal(false);
  const error = useSignal("");
  const acknowledge = async (): Promise<void> => {
    busy.value = true;
    error.value = "";
    try {
      await api(`/v1/alerts/${encodeURIComponent(alert.id)}/ack`, "POST");
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
          <button type="button" disabled={busy.value} onClick={() => void acknowledge()}>
            Acknowledge
            <span class="hidden"> {alert.title}</span>
          </button>
        )}
      </td>
    </tr>
  );
}
