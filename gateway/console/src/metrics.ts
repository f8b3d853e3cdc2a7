/** `/metrics` read as a person would: rates, quantiles, what is behind. */

import { signal } from "@preact/signals";
import { every } from "./clock.ts";
import { text } from "./gateway.ts";

export interface Sample {
  labels: Record<string, string>;
  value: number;
}

/** All samples of one scrape by metric name. */
export type Scrape = Map<string, Sample[]>;

/** One point of the live chart, per second. */
export interface Point {
  at: number;
  /** Events recorded by workers. */
  recorded: number;
  /** Frames written to sockets. */
  delivered: number;
}

const EVERY_MS = 2000;
const POINTS_MAX = 90;

export const scrape = signal<Scrape | null>(null);
export const points = signal<readonly Point[]>([]);
/** Events per second of each stream, since the scrape before. */
export const streamRates = signal<Record<string, number>>({});
/** Seconds from event to socket: [median, 99th percentile] of the last minute; null without traffic. */
export const delivery = signal<readonly [number, number] | null>(null);
export const metricsError = signal<string | null>(null);

export function parse(body: string): Scrape {
  const result: Scrape = new Map();
  for (const line of body.split("\n")) {
    const [, name, labels = "", value] = /^(\w+)(?:\{(.*)\})? (\S+)/.exec(line) ?? [];
    if (!name || !value) continue;
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [key, text]);
    const samples = result.get(name) ?? [];
    samples.push({ labels: Object.fromEntries(pairs), value: value === "+Inf" ? Infinity : Number(value) });
    result.set(name, samples);
  }
  return result;
}

/** The sum of a metric's samples that carry all of `labels`; null when there is none. */
export function total(from: Scrape | null, name: string, labels: Record<string, string> = {}): number | null {
  const samples = from?.get(name)?.filter((one) => Object.entries(labels).every(([key, value]) => one.labels[key] === value));
  return samples?.length ? samples.reduce((sum, one) => sum + one.value, 0) : null;
}

/** The values of a metric by one label. */
export function by(from: Scrape | null, name: string, label: string): Map<string, number> {
  const result = new Map<string, number>();
  for (const { labels, value } of from?.get(name) ?? []) {
    const key = labels[label] ?? "";
    result.set(key, (result.get(key) ?? 0) + value);
  }
  return result;
}

/** A quantile of what a histogram counted between two scrapes, by linear interpolation. */
export function quantile(name: string, q: number, from: Scrape | null, until: Scrape): number | null {
  const before = by(from, `${name}_bucket`, "le");
  const buckets = [...by(until, `${name}_bucket`, "le")]
    .map(([le, value]) => ({ le: le === "+Inf" ? Infinity : Number(le), count: value - (before.get(le) ?? 0) }))
    .sort((a, b) => a.le - b.le);
  const all = buckets.at(-1)?.count ?? 0;
  if (all <= 0) return null;
  let [low, below] = [0, 0];
  for (const { le, count } of buckets) {
    if (count >= all * q) return le === Infinity ? low : low + ((le - low) * (all * q - below)) / Math.max(1, count - below);
    [low, below] = [le, count];
  }
  return low;
}

const history: { at: number; scrape: Scrape }[] = [];

async function sample(): Promise<void> {
  try {
    take(parse(await text("/metrics")), Date.now());
    metricsError.value = null;
  } catch (error) {
    metricsError.value = (error as Error).message;
  }
}

function take(next: Scrape, at: number): void {
  const last = history.at(-1);
  const seconds = last ? (at - last.at) / 1000 : 0;
  if (last && seconds > 0) {
    const rate = (name: string, labels?: Record<string, string>): number =>
      Math.max(0, (total(next, name, labels) ?? 0) - (total(last.scrape, name, labels) ?? 0)) / seconds;
    const streams = [...by(next, "fanfare_worker_events_total", "stream").keys()];
    streamRates.value = Object.fromEntries(streams.map((stream) => [stream, rate("fanfare_worker_events_total", { stream })]));
    const point = { at, recorded: rate("fanfare_worker_events_total"), delivered: rate("fanfare_gateway_frames_sent_total") };
    points.value = [...points.value, point].slice(-POINTS_MAX);
    const first = history[0]?.scrape ?? null;
    const [median, tail] = [0.5, 0.99].map((q) => quantile("fanfare_delivery_seconds", q, first, next));
    delivery.value = median == null || tail == null ? null : [median, tail];
  }
  history.push({ at, scrape: next });
  while (history[0] && at - history[0].at > 60_000) history.shift();
  scrape.value = next;
}

let users = 0;
let stop = (): void => {};

/** Keeps the numbers fresh until the answer is called. */
export function followMetrics(): () => void {
  if (users++ === 0) stop = every(EVERY_MS, () => void sample());
  return () => {
    if (--users === 0) stop();
  };
}
