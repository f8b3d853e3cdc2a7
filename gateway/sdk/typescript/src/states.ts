/**
 * The states that channels of entities have. Fields of your own are declared beside these:
 * `declare module "fanfare" { interface DeploymentState { commit?: string } }`.
 */

/** `deployment:ID` */
export interface DeploymentState {
  id: string;
  projectId: string;
  status: "pending" | "building" | "deploying" | "success" | "error" | "abandoned";
  /** 0 to 100. */
  progress: number;
  stage: string;
  timestamp: number;
  /** The newest lines, at most 100. */
  logs: string[];
  message?: string;
  deploymentUrl?: string;
  /** When it was given up for lost, ms since 1970. */
  abandoned_at?: number;
  /** The longest texts were cut; the archive has them whole. */
  truncated?: boolean;
}

/** `task:ID` */
export interface TaskState {
  id: string;
  status: "pending" | "assigned" | "running" | "completed" | "failed" | "cancelled" | "expired" | "abandoned";
  title?: string;
  executor?: string | null;
  payload?: unknown;
  /** Of a task for one agent: the newest attempt, and who holds it. */
  attempt?: number;
  agent?: string | null;
  progress?: number;
  message?: string;
  logs?: string[];
  result?: unknown;
  /** Why it did not complete. */
  reason?: string | null;
  /** Unix seconds. */
  created_at?: number;
  updated_at?: number;
  abandoned_at?: number;
  truncated?: boolean;
}

/** `agent:ID` */
export interface AgentState {
  agentId: string;
  agentName: string;
  status?: "online" | "offline" | "busy" | "idle";
  state?: "idle" | "working" | "stopped";
  currentTask?: string;
  progress?: number;
  capabilities?: string[];
  metadata?: Record<string, unknown>;
  /** Milliseconds. */
  updated_at?: number;
}

/** `container:ID` */
export interface ContainerState {
  id: string;
  status: string;
  /** How many log lines it wrote so far. */
  lines: number;
  message?: string;
  error?: string;
  code?: string;
  exitCode?: number;
  duration?: number;
  updated_at?: number;
}

/** A repository as its agent reports it. */
export interface RepoReport {
  id: string;
  path: string;
  name: string;
  branch?: string;
  status?: "clean" | "dirty" | "ahead" | "behind" | "diverged";
  uncommittedCount?: number;
  aheadCount?: number;
  behindCount?: number;
  modifiedFiles?: string[];
}
