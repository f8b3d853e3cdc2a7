/** Lists that are read once over HTTP and then follow a feed: deployments, tasks, agents, repositories, alerts. */

import { computed, type ReadonlySignal, signal } from "@preact/signals";
import { type EventFrame, fold } from "fanfare";
import { CALM_MS, oncePerFrame } from "./clock.ts";
import { api, client, HttpError } from "./gateway.ts";

export interface Row {
  id: string;
  /** When it last changed, ms since 1970. */
  changed: number;
  [key: string]: unknown;
}

export interface Deployment extends Row {
  projectId: string;
  status: string;
  progress: number;
  stage: string;
  message?: string;
  deploymentUrl?: string;
}

export interface Task extends Row {
  title?: string;
  status: string;
  executor?: string | null;
  progress?: number;
  created_at?: number;
  result?: unknown;
}

export interface Agent extends Row {
  agentName: string;
  status?: string;
  state?: string;
  currentTask?: string;
  progress?: number;
  capabilities?: string[];
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
}

export interface Alert extends Row {
  severity: "critical" | "warning" | "info";
  title: string;
  message: string | null;
  source: string | null;
  acknowledged: 0 | 1;
  created_at: number;
}

export type Phase = "loading" | "live" | "failed";

/** How a collection is read and kept up. */
interface Plan<T extends Row> {
  channel: string;
  /** How many past events say more than the first page does. */
  tail?: number;
  /** The first page, newest first. */
  first: string;
  /** Rows of an answer, whatever its envelope. */
  rows(answer: Record<string, unknown>): T[];
  /** What an event makes of the rows that it concerns. */
  apply(event: EventFrame, get: (id: string) => T | undefined): T[];
}

const ROWS_MAX = 1000;

export class Collection<T extends Row> {
  readonly phase = signal<Phase>("loading");
  readonly error = signal<string>("");
  /** The cursor of the next page. */
  readonly next = signal<string | null>(null);
  /** Newest first: rows keep their place when they change, so that nothing jumps under a pointer. */
  readonly rows: ReadonlySignal<T[]>;
  readonly #map = new Map<string, T>();
  readonly #version = signal(0);
  readonly #plan: Plan<T>;
  readonly #changed = oncePerFrame(() => this.#version.value++, CALM_MS);
  #started = false;

  constructor(plan: Plan<T>) {
    this.#plan = plan;
    this.rows = computed(() => (this.#version.value, [...this.#map.values()].reverse()));
  }

  /**
   * Reads the first page at once, and again when the feed is followed: what happened in between is
   * in no event. Events that come while a page is read are folded onto it.
   */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    let reading = 0;
    let early: EventFrame[] = [];
    const feed = client.subscribe<string>(this.#plan.channel, { tail: this.#plan.tail });
    const read = async (): Promise<void> => {
      reading += 1;
      await this.#read();
      reading -= 1;
      if (reading > 0) return;
      for (const event of early) this.#apply(event);
      early = [];
    };
    feed.on("event", (event) => void (reading > 0 ? early.push(event) : this.#apply(event)));
    feed.on("error", (error) => this.#fail(error.message));
    feed.on("subscribed", ({ recovered }) => void (recovered || read()));
    feed.on("gap", () => void read());
    void read();
  }

  /** The next page, older rows. */
  async more(): Promise<void> {
    const cursor = this.next.value;
    if (cursor) await this.#read(cursor);
  }

  /** Reads the first page again. */
  retry(): void {
    void this.#read();
  }

  get(id: string): T | undefined {
    this.#version.value;
    return this.#map.get(id);
  }

  async #read(cursor?: string): Promise<void> {
    const { first } = this.#plan;
    try {
      const path = cursor ? `${first}${first.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(cursor)}` : first;
      const answer = await api<Record<string, unknown>>(path);
      this.#put(this.#plan.rows(answer), cursor !== undefined);
      this.next.value = (answer.next as string | null | undefined) ?? null;
      this.phase.value = "live";
    } catch (error) {
      this.#fail(error instanceof HttpError ? error.message : String(error));
    }
  }

  #fail(message: string): void {
    this.error.value = message;
    if (this.#map.size === 0) this.phase.value = "failed";
  }

  /** `rows` are newest first; the map is oldest first. */
  #put(rows: T[], older: boolean): void {
    const known = [...this.#map.values()];
    const sorted = [...rows].reverse();
    this.#map.clear();
    for (const row of older ? [...sorted, ...known] : [...known.filter(({ id }) => !rows.some((row) => row.id === id)), ...sorted]) {
      this.#map.set(row.id, row);
    }
    this.#changed();
  }

  #apply(event: EventFrame): void {
    for (const row of this.#plan.apply(event, (id) => this.#map.get(id))) this.#map.set(row.id, row);
    for (const id of this.#map.keys()) {
      if (this.#map.size <= ROWS_MAX) break;
      this.#map.delete(id);
    }
    this.#changed();
  }
}

type Raw = Record<string, unknown>;

const list = (answer: Raw, key: string): Raw[] => (Array.isArray(answer[key]) ? (answer[key] as Raw[]) : []);
const number = (value: unknown): number => (typeof value === "number" ? value : 0);

/** Entities whose state is folded here as everywhere. */
function folded<T extends Row>(name: string, changed: (state: Raw) => number): Collection<T> {
  return new Collection<T>({
    channel: name,
    first: `/v1/${name}?limit=100`,
    rows: (answer) => list(answer, name).map((state) => ({ ...state, changed: changed(state) }) as T),
    apply: (event, get) => {
      if (event.id === null) return [];
      const state = fold<Raw>(get(event.id) ?? null, event);
      return [{ ...state, id: event.id, changed: event.at } as T];
    },
  });
}

export const deployments = folded<Deployment>("deployments", (state) => number(state.timestamp));
export const tasks = folded<Task>("tasks", (state) => number(state.updated_at) * 1000);

export const agents = new Collection<Agent>({
  channel: "agents",
  first: "/v1/agents?limit=200",
  rows: (answer) =>
    list(answer, "agents").map((agent) => {
      const id = String(agent.id);
      return { agentName: id, ...agent, id, changed: number(agent.updated_at) } as Agent;
    }),
  apply: (event, get) => {
    if (event.id === null) return [];
    return [{ ...fold<Raw>(get(event.id) ?? null, event), id: event.id, changed: event.at } as Agent];
  },
});

export const repos = new Collection<Repo>({
  channel: "repos",
  first: "/v1/repos?limit=200",
  rows: (answer) => list(answer, "repos").map((repo) => ({ ...repo, changed: number(repo.last_checked) * 1000 }) as Repo),
  apply: (event, get) =>
    list(event.data, "repos").map((repo) => {
      const before = get(String(repo.id));
      return {
        id: String(repo.id),
        path: before?.path ?? String(repo.path),
        name: before?.name ?? String(repo.name),
        branch: (repo.branch as string) ?? null,
        status: (repo.status as string) ?? null,
        uncommitted_count: number(repo.uncommittedCount),
        ahead_count: number(repo.aheadCount),
        behind_count: number(repo.behindCount),
        modifiedFiles: (repo.modifiedFiles as string[]) ?? null,
        changed: event.at,
      };
    }),
});

export const alerts = new Collection<Alert>({
  channel: "alerts",
  first: "/v1/alerts?limit=200",
  rows: (answer) => list(answer, "alerts").map((alert) => ({ ...alert, changed: number(alert.created_at) * 1000 }) as Alert),
  apply: (event, get) => {
    const before = get(event.id ?? "");
    if (event.event === "alert_acknowledged") return before ? [{ ...before, acknowledged: 1 }] : [];
    if (event.id === null) return [];
    const { severity, title, message = null, source = null } = event.data as unknown as Alert;
    const since = before?.created_at ?? Math.floor(event.at / 1000);
    const acknowledged = before?.acknowledged ?? 0;
    return [{ id: event.id, severity, title, message, source, created_at: since, acknowledged, changed: since * 1000 }];
  },
});

export const RUNNING = new Set(["pending", "queued", "building", "deploying", "running"]);

export const running = computed(() => deployments.rows.value.filter(({ status }) => RUNNING.has(status)));
export const runningTasks = computed(() => tasks.rows.value.filter(({ status }) => RUNNING.has(status)));
export const openAlerts = computed(() => alerts.rows.value.filter(({ acknowledged }) => acknowledged !== 1));

/** The last events of all feeds, newest first. */
export const recent = signal<readonly EventFrame[]>([]);

const RECENT_MAX = 40;

export function startCollections(): void {
  for (const one of [deployments, tasks, agents, repos, alerts]) one.start();
  let buffer: EventFrame[] = [];
  const flush = oncePerFrame(() => {
    recent.value = [...buffer.reverse(), ...recent.value].slice(0, RECENT_MAX);
    buffer = [];
  }, CALM_MS);
  for (const channel of ["deployments", "tasks", "agents", "repos", "alerts", "broadcast"]) {
    const feed = client.subscribe<string>(channel, { tail: 8 });
    feed.on("error", () => {}); // Said by the collection of the same feed.
    feed.on("event", (event) => {
      buffer.push(event);
      if (buffer.length > RECENT_MAX) buffer.shift();
      flush();
    });
  }
}
