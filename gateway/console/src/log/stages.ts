/** The stages of a deployment, from the events that enter them. */

import type { EventFrame } from "fanfare";
import { ordinal } from "./position.ts";

/** A stage, from the time it was entered. */
export interface Stage {
  name: string;
  /** Number of the event that entered it. */
  event: number;
  from: number;
  until: number | null;
  status: string;
}

const ENDED = ["success", "error", "abandoned", "completed", "failed", "cancelled", "expired"];

/** The stages after an event, wherever in the log it stands: stages are kept in its order. */
export function enter(stages: readonly Stage[], { data, at, position }: EventFrame): Stage[] {
  const event = ordinal(position);
  const place = stages.findLastIndex((stage) => stage.event <= event);
  const here = stages[place];
  if (here?.event === event) return stages as Stage[];
  const name = typeof data.stage === "string" && data.stage ? data.stage : null;
  const status = typeof data.status === "string" ? data.status : (here?.status ?? "pending");
  if (name === null && (!here || typeof data.status !== "string")) return stages as Stage[];
  const next = [...stages];
  if (name === null || name === here?.name) {
    // The same stage goes on: it says how, and whether it is over.
    if (here) next[place] = { ...here, status, until: ENDED.includes(status) ? at : here.until };
    return next;
  }
  const following = stages[place + 1];
  if (following?.name === name) {
    // Read backwards: the stage began earlier than was known.
    next[place + 1] = { ...following, event, from: at };
    if (here) next[place] = { ...here, until: at };
    return next;
  }
  if (here) next[place] = { ...here, until: at };
  const until = following ? following.from : ENDED.includes(status) ? at : null;
  next.splice(place + 1, 0, { name, event, from: at, until, status });
  return next;
}
