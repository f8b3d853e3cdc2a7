/** The folds of what has a list but no channel of its own: repositories and alerts. */

import { applied, type EntityKind, type Fold, foldEntity, seconds } from "./fold.ts";
import type { EventFrame, Json } from "./frames.ts";

const repo: Fold = (id, before, _, { repos }, recorded) => {
  const given = Array.isArray(repos) ? (repos as (Json | null)[]).findLast((one) => one?.id === id) : null;
  if (!given) return before;
  const take = (key: string): unknown => given[key] ?? null;
  const count = (key: string): unknown => (Number.isInteger(given[key]) && (given[key] as number) >= 0 ? given[key] : 0);
  return {
    ...(before ?? { id, path: take("path"), name: take("name") }),
    branch: take("branch"),
    status: take("status"),
    uncommitted_count: count("uncommittedCount"),
    ahead_count: count("aheadCount"),
    behind_count: count("behindCount"),
    last_checked: seconds(recorded),
    modifiedFiles: take("modifiedFiles"),
  };
};

const alert: Fold = (id, before, event, data, recorded) => {
  if (event.event === "alert_acknowledged") {
    const ended = data.by === "health" ? { ended_at: seconds(recorded) } : {};
    return before && { ...before, acknowledged: 1, ...ended };
  }
  // One whose cause was gone in between begins anew.
  const open = before && "ended_at" in before ? undefined : before;
  const take = (key: string): unknown => data[key] ?? null;
  return {
    created_at: seconds(recorded),
    acknowledged: 0,
    ...open,
    id,
    severity: take("severity"),
    title: take("title"),
    message: take("message"),
    source: take("source"),
  };
};

/** The state of one row of any list after `event`; what concerns it not leaves it as it is. */
export function foldRow(kind: EntityKind | "repo" | "alert", id: string, state: Json | null, event: EventFrame): Json | null {
  if (kind === "repo") return event.event === "git_status" ? applied(repo, id, state, event) : state;
  if (kind === "alert") return /^alert(_acknowledged)?$/.test(event.event) ? applied(alert, id, state, event) : state;
  return foldEntity(kind, id, state, event);
}
