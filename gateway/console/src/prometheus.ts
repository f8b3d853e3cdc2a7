/** Prometheus text: samples, sums and quantiles. */

export interface Sample {
  labels: Record<string, string>;
  value: number;
}

/** All samples of one scrape by metric name. */
export type Scrape = Map<string, Sample[]>;

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
