/** What the lists show: deployments, tasks, agents, repositories, alerts, containers. */

import { type EntityKind, type EventFrame, foldEntity, type Json } from "fanfare";
import type { Plan, Row } from "./list.ts";

export interface Deployment extends Row {
  status: string;
  progress?: number;
  stage?: string;
  /** Ms since 1970. */
  timestamp?: number;
}

export interface Task extends Row {
  title?: string;
  status: string;
  executor?: string | null;
  agent?: string | null;
  assign?: string;
  group?: string | null;
  progress?: number;
  /** Unix seconds. */
  updated_at?: number;
}

export interface Agent extends Row {
  agentName?: string;
  status?: string;
  state?: string;
  currentTask?: string;
  progress?: number;
  capabilities?: string[];
  updated_at?: number;
}

export interface Repo extends Row {
  path: string;
  name: string;
  branch: string | null;
  status: string | null;
  uncommitted_count: number;
  ahead_count: number;
  behind_count: number;
  modifiedFiles: string[] | null;
  last_checked: number;
}

export interface Alert extends Row {
  severity: "critical" | "warning" | "info";
  title: string;
  message: string | null;
  source: string | null;
  acknowledged: 0 | 1;
  created_at: number;
}

export interface Container extends Row {
  status: string;
  lines?: number;
  message?: string;
  exitCode?: number;
  updated_at?: number;
}

const folding =
  <T extends Row>(kind: EntityKind) =>
  (row: T, event: EventFrame): T =>
    ({ ...(foldEntity(kind, row.id, row as Json, event) ?? row), id: row.id }) as T;

/** An alert is raised anew under its id, or acknowledged. */
function alerted(row: Alert, { event, data }: EventFrame): Alert {
  if (event === "alert_acknowledged") return { ...row, acknowledged: 1 };
  const { severity, title, message = null, source = null } = data as unknown as Alert;
  return event === "alert" ? { ...row, severity, title, message, source } : row;
}

/** A repository as its agent reports it; its path and name stay what they were first. */
function checked(row: Repo, { data, recorded }: EventFrame): Repo {
  const given = (Array.isArray(data.repos) ? (data.repos as Json[]) : []).findLast((repo) => String(repo.id) === row.id);
  if (!given) return row;
  const count = (key: string): number => (typeof given[key] === "number" ? (given[key] as number) : 0);
  return {
    ...row,
    branch: (given.branch ?? null) as string | null,
    status: (given.status ?? null) as string | null,
    uncommitted_count: count("uncommittedCount"),
    ahead_count: count("aheadCount"),
    behind_count: count("behindCount"),
    modifiedFiles: (given.modifiedFiles ?? null) as string[] | null,
    last_checked: Math.trunc(recorded / 1000),
  };
}

export const deployments: Plan<Deployment> = { noun: "deployments", channel: "deployments", apply: folding("deployment") };
export const tasks: Plan<Task> = { noun: "tasks", channel: "tasks", apply: folding("task") };
export const agents: Plan<Agent> = { noun: "agents", channel: "agents", apply: folding("agent") };
export const alerts: Plan<Alert> = { noun: "alerts", channel: "alerts", apply: alerted };
/** There is no feed of all containers. */
export const containers: Plan<Container> = { noun: "containers" };
export const repos: Plan<Repo> = {
  noun: "repos",
  channel: "repos",
  about: ({ data }) => (Array.isArray(data.repos) ? (data.repos as { id?: unknown }[]).map(({ id }) => String(id)) : []),
  apply: checked,
};

/** Statuses of what has not ended. */
export const OPEN: readonly string[] = ["pending", "queued", "assigned", "building", "deploying", "running", "starting"];
/** Statuses of what ended otherwise than wished. */
export const FAILED: readonly string[] = ["error", "failed", "abandoned", "expired"];
