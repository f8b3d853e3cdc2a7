/** A live list: read once over HTTP, with totals, and kept up by its feed. */

import type { Fanfare } from "./client.ts";
import { Emitter } from "./emitter.ts";
import { foldRow } from "./fold-lists.ts";
import type { EventFrame, Json } from "./frames.ts";
import type { AgentState, DeploymentState, TaskState } from "./states.ts";
import type { Subscription } from "./subscription.ts";

/** What there are lists of, and what their rows look like. */
export interface Lists {
  deployments: DeploymentState;
  tasks: TaskState;
  agents: AgentState & { id: string };
  repos: Json & { id: string };
  alerts: Json & { id: string };
}

export interface ListQuery {
  status?: string | undefined;
  /** Part of an id, title or project. */
  q?: string | undefined;
  sort?: "newest" | "oldest" | undefined;
  /** Rows; 50 by default, 200 at most. */
  limit?: number | undefined;
}

export interface ListState<T> {
  rows: readonly T[];
  /** How many there are in all; null until the server has said it. */
  total: number | null;
  byStatus: Readonly<Record<string, number>>;
}

interface Answer<T> {
  total: number;
  by_status: Record<string, number>;
  [name: string]: unknown | T[];
}

type Row = Json & { id: string };

const RELOAD_MS = 300;
const KINDS = { deployments: "deployment", tasks: "task", agents: "agent", repos: "repo", alerts: "alert" } as const;

/** When a row last changed, ms since 1970; an event from before is in it already. */
const changed = ({ timestamp, updated_at }: Json): number => Number(timestamp ?? 0) || (Number(updated_at ?? 0) < 1e11 ? 0 : Number(updated_at));

export class List<N extends keyof Lists> extends Emitter<{ change: ListState<Lists[N]>; error: unknown }> {
  state: ListState<Lists[N]> = { rows: [], total: null, byStatus: {} };
  readonly subscription: Subscription;
  readonly #client: Fanfare;
  readonly #name: N;
  readonly #query: ListQuery;
  #early: EventFrame[] | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(client: Fanfare, name: N, query: ListQuery = {}) {
    super();
    [this.#client, this.#name, this.#query] = [client, name, query];
    this.subscription = client.subscribe<string>(name);
    this.subscription.on("event", (event) => this.#event(event));
    this.subscription.on("gap", () => this.#reload());
    this.subscription.on("subscribed", ({ recovered }) => recovered || void this.#read());
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.subscription.unsubscribe();
  }

  async #read(): Promise<void> {
    this.#early ??= [];
    try {
      const answer = await this.#client.list<Answer<Lists[N]>>(this.#name, { ...this.#query });
      if (this.#closed) return;
      this.state = { rows: answer[this.#name] as Lists[N][], total: answer.total, byStatus: answer.by_status };
    } catch (error) {
      if (!this.#closed) this.emit("error", error);
    }
    const early = this.#early ?? [];
    this.#early = null;
    for (const event of early) this.#event(event);
    this.emit("change", this.state);
  }

  /** What is not on this page changes the totals at least: it is read again, once for many. */
  #reload(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#read();
    }, RELOAD_MS);
  }

  #event(event: EventFrame): void {
    if (this.#early) return void this.#early.push(event);
    const kind = KINDS[this.#name];
    const rows = this.state.rows as unknown as readonly Row[];
    const at = rows.findIndex(({ id }) => id === event.id);
    const row = rows[at];
    if (!row) return this.#reload();
    if (event.recorded < changed(row)) return;
    const folded = foldRow(kind, row.id, row, event) as Row;
    if (folded.status !== row.status) this.#reload();
    const left = this.#query.status !== undefined && folded.status !== this.#query.status;
    const next = left ? rows.toSpliced(at, 1) : rows.with(at, folded);
    this.state = { ...this.state, rows: next as unknown as Lists[N][] };
    this.emit("change", this.state);
  }
}
