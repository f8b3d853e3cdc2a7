/** `/metrics` while somebody looks: live rates and how long delivery takes. */

import { signal } from "@preact/signals";
import { every } from "./clock.ts";
import { text } from "./gateway.ts";
import { by, parse, quantile, type Scrape, total } from "./prometheus.ts";

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
