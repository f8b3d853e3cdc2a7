/** The whole installation as the server sees it: figures of now, and every node. Null is unknown. */

import { computed } from "@preact/signals";
import { now } from "./clock.ts";
import { time } from "./format.ts";
import { connectionState, degraded, lostSince, moving } from "./gateway.ts";
import { Resource, STALE_MS } from "./resource.ts";

type Known = number | null;

/** A moment of the last hour. */
export interface Moment {
  at: number;
  recorded?: Known;
  delivered?: Known;
  rates?: { recorded: Known; delivered: Known } | null;
}

export interface Overview {
  at: number;
  rates: { recorded: Known; delivered: Known } | null;
  delivery_ms: { p50: Known; p99: Known } | null;
  lag: Record<string, { entries: Known; seconds: Known } | null> | null;
  dead: { total: Known; by_reason: Record<string, number> | null } | null;
  entities: Record<string, Record<string, number> | null> | null;
  connections: Known;
  nodes: Known;
  partitions: Known;
  degraded: "broker" | "store" | "both" | null;
  history: Moment[] | null;
}

export interface Node {
  node: string;
  role: "gateway" | "worker" | "all";
  version: string;
  since: Known;
  heard_at: Known;
  connections: Record<string, number> | null;
  slow: Known;
  leases: string[] | null;
  lag: Record<string, { entries: Known; seconds: Known } | null> | null;
  degraded: string | null;
  draining: boolean | null;
}

export const overview = new Resource<Overview>("/v1/overview");
export const nodes = new Resource<{ nodes: Node[]; at?: number }>("/v1/nodes");

/** A node that was not heard of for so long is shown as silent. */
export const SILENT_MS = 15_000;

/** A node that was once listed here and no longer is, with when it was last. */
export interface Missing {
  node: Node;
  lastAt: number;
}

/** How long a node that left the list is still told of. */
const MISSING_MS = 10 * 60_000;
const seen = new Map<string, Missing>();

/** Nodes that were there while this page was open, and are not now. */
export const missing = computed<Missing[]>(() => {
  const answer = nodes.value.value;
  const at = nodes.readAt.value;
  if (answer === null || at === null) return [];
  for (const node of answer.nodes) seen.set(node.node, { node, lastAt: at });
  for (const [name, { lastAt }] of seen) if (at - lastAt > MISSING_MS) seen.delete(name);
  const listed = new Set(answer.nodes.map(({ node }) => node));
  return [...seen.values()].filter(({ node }) => !listed.has(node.node));
});

/** How old the last sign of a node was when it was asked for; null when that is not known. */
export function silence({ heard_at }: Node): number | null {
  const asked = nodes.value.value?.at ?? nodes.readAt.value;
  return heard_at === null || asked === null || asked === undefined ? null : Math.max(0, asked - heard_at);
}

/** A sum, or null as soon as one part is unknown. */
export function sum(values: readonly Known[]): Known {
  return values.every((value) => value !== null) ? values.reduce<number>((all, value) => all + (value ?? 0), 0) : null;
}

/** How many entities of a kind have one of these statuses; null when that is not known. */
export function entities(kind: string, statuses?: readonly string[]): Known {
  const counts = overview.current.value?.entities?.[kind];
  if (!counts) return null;
  return Object.entries(counts).reduce((all, [status, count]) => (!statuses || statuses.includes(status) ? all + count : all), 0);
}

/** The server's reasons in words. */
const REASONS: Record<string, string> = {
  broker: "Redis does not answer",
  store: "the database does not answer",
  both: "neither Redis nor the database answers",
};

export const reason = (word: string): string => REASONS[word] ?? `${word} does not answer`;

/** What hinders this page from telling how things are, each as a sentence; empty when nothing does. */
export const troubles = computed<string[]>(() => {
  const said: string[] = [];
  const lost = lostSince.value;
  if (connectionState.value !== "connected" && !moving.value && lost !== null && now.value - lost > 1500) {
    said.push(`There is no connection to the server since ${time(lost)}. What is shown is from before.`);
  }
  const current = overview.current.value;
  const word = degraded.value ?? current?.degraded;
  // A node may not have noticed yet, and yet nothing of the record can be read.
  if (!word && current && current.entities === null && current.dead === null) said.push("What the database holds cannot be read at the moment.");
  if (word) said.push(`The installation is degraded: ${reason(word)}. What it would say is unknown, what was accepted is kept.`);
  const readAt = overview.readAt.value;
  const failed = overview.failure.value;
  if (readAt !== null && now.value - readAt > STALE_MS) {
    said.push(`The installation's figures are from ${time(readAt)}${failed ? `: ${lower(failed.message)}` : ""}`);
  } else if (readAt === null && failed && ![401, 403, 404].includes(failed.status)) {
    said.push(`The installation's figures cannot be read: ${lower(failed.message)}`);
  }
  return said;
});

/** Whether nothing hinders: only then an empty list means that nothing exists. */
export const calm = computed(() => connectionState.value === "connected" && troubles.value.length === 0);

const lower = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);
