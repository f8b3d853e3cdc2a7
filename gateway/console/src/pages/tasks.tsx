/** Tasks: the list, and one of them with its attempts, what it waits for, its result and its log. */

import type { TaskState } from "fanfare";
import type { JSX } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import { rights } from "../credential.ts";
import { duration, plural } from "../format.ts";
import { api } from "../gateway.ts";
import { calm } from "../installation.ts";
import { FAILED, OPEN, tasks } from "../kinds.ts";
import { Log } from "../log/log.ts";
import { LogView } from "../log/log-view.tsx";
import { Resource, useResource } from "../resource.ts";
import { to } from "../router.ts";
import { Ago, Empty, Heading, Progress, Status, Sure } from "../ui/bits.tsx";
import { Listing } from "../ui/listing.tsx";
import { Replay, useReplay } from "../ui/replay.tsx";
import { Share } from "../ui/share.tsx";
import { WhyFailed } from "../ui/why-failed.tsx";

export function Tasks(): JSX.Element {
  return (
    <Listing
      title="Tasks"
      noun={["task"]}
      plan={tasks}
      aside={
        <>
          <a class="button" href={to("queue")}>
            Queue
          </a>
          <a class="button" href={to("analytics")}>
            Analytics
          </a>
        </>
      }
      columns={[{ name: "Task" }, { name: "Executor", wide: true }, { name: "Agent", wide: true }, { name: "Status" }, { name: "Changed", right: true }]}
      empty={
        <Empty title="No task yet">
          <p>
            Tasks come as <code>task_created</code> on the stream <code>tasks</code>, or by <code>POST /v1/tasks</code>.
          </p>
        </Empty>
      }
    >
      {({ id, title, executor, agent, status, updated_at }) => (
        <tr key={id}>
          <th scope="row">
            <a class="cover" href={to("tasks", id)}>
              {title ?? id}
            </a>
            {title && <span class="sub">{id}</span>}
          </th>
          <td class="wide">{executor ?? <span class="muted">any</span>}</td>
          <td class="wide">{agent ?? <span class="muted">—</span>}</td>
          <td class="fit">
            <Status status={status} />
          </td>
          <td class="when">
            <Ago at={(updated_at ?? 0) * 1000} />
          </td>
        </tr>
      )}
    </Listing>
  );
}

interface Attempt {
  attempt: number;
  agent: string;
  assigned_at: number | null;
  accepted_at: number | null;
  ended_at: number | null;
  end: string | null;
}

interface Detail {
  task: Record<string, unknown> & { assign?: string; status: string; priority?: number; requires?: string[]; group?: string | null; depends_on?: string[] };
  attempts: Attempt[];
  waits: null | {
    for: "agent" | "dependency" | "not_before" | "backoff";
    since: number | null;
    until?: number;
    tasks?: string[];
    agents?: { can: number; free: number };
  };
}

export function TaskPage({ id }: { id: string }): JSX.Element {
  const channel = `task:${id}`;
  const log = useMemo(() => new Log(channel), [channel]);
  useEffect(() => () => log.close(), [log]);
  const detail = useResource(useMemo(() => new Resource<Detail>(`/v1/tasks/${encodeURIComponent(id)}`), [id]));
  const replay = useReplay(channel);
  const state = (replay.value?.state.value ?? log.state.value) as TaskState | null;
  const ended = state !== null && !OPEN.includes(state.status);
  const isForOne = detail.value.value?.task.assign === "one";
  return (
    <>
      <Heading
        back={<a href={to("tasks")}>Tasks</a>}
        title={state?.title ?? id}
        aside={
          <>
            {isForOne && rights.value.publishes("tasks") && <Hand id={id} ended={ended} />}
            {ended && <Replay replay={replay} channel={channel} />}
            <Share channel={channel} />
          </>
        }
      >
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
          <p>{log.loading.value ? "Reading…" : log.error.value || !calm.value ? "What it is at is unknown." : "No event of this task yet."}</p>
        )}
      </Heading>
      {state && FAILED.includes(state.status) && <WhyFailed log={log} state={state} />}
      {state && typeof state.progress === "number" && OPEN.includes(state.status) && (
        <div class="headline">
          <Progress large value={state.progress} status={state.status} label="Progress" />
          <span class="percent">{Math.round(state.progress)} %</span>
        </div>
      )}
      {detail.value.value && isForOne && <Work detail={detail.value.value} />}
      {state?.result != null && (
        <section class="result" aria-labelledby="result">
          <h2 id="result">Result</h2>
          <pre tabIndex={0}>{typeof state.result === "string" ? state.result : JSON.stringify(state.result, null, 2)}</pre>
        </section>
      )}
      {replay.value ? replay.value.view(`Replay of ${id}`) : <LogView key={id} log={log} label={`Log of ${id}`} />}
    </>
  );
}

/** Cancelling and retrying by hand. */
function Hand({ id, ended }: { id: string; ended: boolean }): JSX.Element {
  const act = (verb: string) => async (): Promise<string> => (await api<{ status: string }>(`/v1/tasks/${encodeURIComponent(id)}/${verb}`, "POST", {})).status;
  return ended ? (
    <Sure key="retry" question="Really retry?" act={act("retry")}>
      Retry
    </Sure>
  ) : (
    <Sure key="cancel" question="Really cancel?" act={act("cancel")}>
      Cancel
    </Sure>
  );
}

/** What a task for one waits for, says and tried. */
function Work({ detail: { task, attempts, waits } }: { detail: Detail }): JSX.Element {
  return (
    <section class="work" aria-label="Work">
      {waits && <p class="note">{waiting(waits)}</p>}
      <p class="facts">
        {task.priority != null && <span>priority {String(task.priority)}</span>}
        {task.requires && task.requires.length > 0 && <span>needs {task.requires.join(", ")}</span>}
        {task.group && (
          <span>
            group <a href={to("groups", task.group)}>{task.group}</a>
          </span>
        )}
        {task.depends_on?.map((other) => (
          <span key={other}>
            after <a href={to("tasks", other)}>{other}</a>
          </span>
        ))}
      </p>
      {attempts.length > 0 && (
        <table class="attempts">
          <thead>
            <tr>
              <th scope="col">Attempt</th>
              <th scope="col">Agent</th>
              <th scope="col">Assigned</th>
              <th scope="col" class="wide">
                Ran
              </th>
              <th scope="col">End</th>
            </tr>
          </thead>
          <tbody>
            {attempts.map(({ attempt, agent, assigned_at, accepted_at, ended_at, end }) => (
              <tr key={attempt}>
                <th scope="row">{attempt}</th>
                <td>
                  <a href={to("agents", agent)}>{agent}</a>
                </td>
                <td>
                  <Ago at={assigned_at} />
                </td>
                <td class="wide">
                  {accepted_at !== null && ended_at !== null ? duration(ended_at - accepted_at) : accepted_at === null ? "not begun" : "runs"}
                </td>
                <td>{end ? <Status status={end} /> : <span class="muted">—</span>}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function waiting(waits: NonNullable<Detail["waits"]>): JSX.Element {
  const since =
    waits.since === null ? null : (
      <>
        , since <Ago at={waits.since} />
      </>
    );
  switch (waits.for) {
    case "agent":
      return (
        <>
          It waits for an agent
          {waits.agents && `: ${plural(waits.agents.can, "agent")} could do it, ${waits.agents.free} of them free`}
          {since}
        </>
      );
    case "dependency":
      return (
        <>
          It waits for{" "}
          {waits.tasks?.map((task, index) => (
            <span key={task}>
              {index > 0 && ", "}
              <a href={to("tasks", task)}>{task}</a>
            </span>
          )) ?? "other tasks"}
          {since}
        </>
      );
    default:
      return (
        <>
          {waits.for === "backoff" ? "It waits between two attempts" : "It waits for its time"}
          {waits.until !== undefined && ` until ${new Date(waits.until).toLocaleTimeString()}`}
        </>
      );
  }
}
