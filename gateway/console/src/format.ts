/** Numbers, times and durations in words. */

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

/** In place of what is not known. */
export const UNKNOWN = "–";

/** What is known, else a dash. */
export function known(value: number | null | undefined, show: (value: number) => string = count): string {
  return value === null || value === undefined ? UNKNOWN : show(value);
}

/** 1,204 · 100,000: to the last digit. */
export function full(value: number): string {
  return whole.format(value);
}

/** 1,204 · 18.3K */
export function count(value: number): string {
  return value < 10_000 ? whole.format(value) : short.format(value);
}

/** A rate or a ratio: one decimal while that says something. */
export function decimal(value: number): string {
  return value === 0 ? "0" : value < 10 ? value.toFixed(1) : count(value);
}

/** Its first letter made a capital. */
export function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function plural(value: number, one: string, many: string = `${one}s`): string {
  return `${full(value)} ${value === 1 ? one : many}`;
}

/** Milliseconds as 840 µs · 12 ms · 3.2 s · 4 min 10 s · 2 h 5 min · 3 d 4 h */
export function duration(ms: number): string {
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const pair = (big: number, bigUnit: string, small: number, smallUnit: string): string =>
    small > 0 ? `${big} ${bigUnit} ${small} ${smallUnit}` : `${big} ${bigUnit}`;
  const s = Math.floor(seconds);
  if (s < 3600) return pair(Math.floor(s / 60), "min", s % 60, "s");
  if (s < 86_400) return pair(Math.floor(s / 3600), "h", Math.floor((s % 3600) / 60), "min");
  return pair(Math.floor(s / 86_400), "d", Math.floor((s % 86_400) / 3600), "h");
}

/** How a moment is written: in UTC, in the reader's zone, or from a moment on. */
export type Zone = "utc" | "local" | "relative";

const stamps = {
  utc: new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", timeZone: "UTC" }),
  local: new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" }),
};

/** The last second that was written, which most lines of a log share with the one before. */
const written = { second: NaN, zone: "" as Zone | "", text: "" };

/** "27 Nov, 14:03:07", or "+1:04.2" since `from`. */
export function stamp(at: number, zone: Zone, from: number): string {
  if (zone !== "relative") {
    const second = Math.floor(at / 1000);
    if (written.second !== second || written.zone !== zone) Object.assign(written, { second, zone, text: stamps[zone].format(date(at)) });
    return written.text;
  }
  const tenths = Math.floor(Math.abs(at - from) / 100);
  const [seconds, minutes, hours] = [Math.floor(tenths / 10) % 60, Math.floor(tenths / 600) % 60, Math.floor(tenths / 36_000)];
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${at < from ? "−" : "+"}${hours > 0 ? `${hours}:${two(minutes)}` : minutes}:${two(seconds)}.${tenths % 10}`;
}

/** "just now", "12 s ago", "4 min ago", then the date. */
export function ago(at: number, now: number): string {
  const seconds = Math.max(0, Math.floor((now - at) / 1000));
  if (seconds < 3) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return day.format(date(at));
}

/** 14:03:07 */
export function time(at: number): string {
  return clock.format(date(at));
}

export function exact(at: number): string {
  return date(at).toISOString();
}

/** The time, or 1970 for what is none: nothing that is received may end the page. */
function date(at: number): Date {
  const date = new Date(at);
  return Number.isNaN(date.valueOf()) ? new Date(0) : date;
}
