/** Tasks: the list, and one of them with its result and its log. */

import type { TaskState } from "fanfare";
import type { JSX } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import { RUNNING, type Task, tasks } from "../collection.ts";
import { count } from "../format.ts";
import { Log } from "../log.ts";
import { to } from "../router.ts";
import { Ago, Empty, Failure, Heading, Progress, Status } from "../ui/bits.tsx";
import { Listing } from "../ui/listing.tsx";
import { LogView } from "../ui/log-view.tsx";

type Filter = "all" | "running" | "good" | "bad";

const FILTERS: Record<Filter, (row: Task) => boolean> = {
  all: () => true,
  running: ({ status }) => RUNNING.has(status),
  good: ({ status }) => status === "completed",
  bad: ({ status }) => status === "failed" || status === "abandoned",
};

export function Tasks(): JSX.Element {
  return (
    <Listing
      title="Tasks"
      lede={(rows) => {
        const open = rows.filter(FILTERS.running).length;
        return open > 0 ? `${count(open)} open` : "None open";
      }}
      collection={tasks}
      filters={FILTERS}
      names={{ all: "All", running: "Open", good: "Completed", bad: "Failed" }}
      words={(row) => `${row.id} ${row.title ?? ""} ${row.executor ?? ""}`}
      columns={["Task", "Executor", "Status", "Changed"]}
      empty={
        <Empty title="No task yet">
          <p>
            Tasks come as <code>task_created</code> on the stream <code>tasks</code>.
          </p>
        </Empty>
      }
    >
      {(row) => (
        <tr key={row.id}>
          <th scope="row">
            <a class="cover" href={to("tasks", row.id)}>
              {row.title ?? row.id}
            </a>
            {row.title && <span class="sub">{row.id}</span>}
          </th>
          <td class="wide">{row.executor ?? <span class="muted">any</span>}</td>
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

export function TaskPage({ id }: { id: string }): JSX.Element {
  const log = useMemo(() => new Log(`task:${id}`), [id]);
  useEffect(() => () => log.close(), [log]);
  const state = (log.state.value ?? tasks.get(id) ?? null) as TaskState | null;
  return (
    <>
      <Heading back={<a href={to("tasks")}>Tasks</a>} title={state?.title ?? id}>
        {state ? (
          <p class="facts">
            <Status status={state.status} />
            <span class="mono">{id}</span>
            {state.executor && <span>{state.executor}</span>}
            {state.created_at !== undefined && (
              <span>
                created <Ago at={state.created_at * 1000} />
              </span>
            )}
          </p>
        ) : (
          <p>{log.loading.value ? "Reading…" : "No event of this task yet."}</p>
        )}
      </Heading>
      {log.error.value && <Failure message={log.error.value} />}
      {state && typeof state.progress === "number" && RUNNING.has(state.status) && (
        <div class="headline">
          <Progress large value={state.progress} status={state.status} label="Progress" />
          <span class="percent">{Math.round(state.progress)} %</span>
        </div>
      )}
      {state?.result != null && (
        <section class="result" aria-labelledby="result">
          <h2 id="result">Result</h2>
          <pre tabIndex={0}>{typeof state.result === "string" ? state.result : JSON.stringify(state.result, null, 2)}</pre>
        </section>
      )}
      <LogView key={id} log={log} label={`Log of ${id}`} />
    </>
  );
}
