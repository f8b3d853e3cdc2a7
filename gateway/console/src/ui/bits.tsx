/** Small things that every page is made of. */

import type { ComponentChildren, JSX } from "preact";
import { now } from "../clock.ts";
import { ago, exact, sentence } from "../format.ts";

export type Tone = "live" | "good" | "bad" | "warn" | "idle";

const TONES: Record<string, Tone> = {
  pending: "idle",
  queued: "idle",
  building: "live",
  deploying: "live",
  running: "live",
  working: "live",
  busy: "live",
  success: "good",
  completed: "good",
  online: "good",
  clean: "good",
  error: "bad",
  failed: "bad",
  critical: "bad",
  abandoned: "warn",
  warning: "warn",
  dirty: "warn",
  ahead: "idle",
  behind: "warn",
  diverged: "bad",
};

export function toneOf(status: string | null | undefined): Tone {
  return TONES[status ?? ""] ?? "idle";
}

/** Shape and colour together, so that neither is needed alone. */
export function Dot({ tone }: { tone: Tone }): JSX.Element {
  return (
    <svg class={`dot ${tone}`} viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
      {tone === "good" && <circle cx="6" cy="6" r="4" fill="currentColor" />}
      {tone === "idle" && <circle cx="6" cy="6" r="3.25" fill="none" stroke="currentColor" stroke-width="1.5" />}
      {tone === "warn" && <path d="M6 1.4 11.2 10.4H.8Z" fill="currentColor" />}
      {tone === "bad" && <path d="m2.6 2.6 6.8 6.8m0-6.8-6.8 6.8" stroke="currentColor" stroke-width="2.2" stroke-linecap="round" />}
      {tone === "live" && (
        <g fill="none" stroke="currentColor" stroke-width="1.75">
          <circle cx="6" cy="6" r="4.25" opacity=".25" />
          <path class="turn" d="M6 1.75A4.25 4.25 0 0 1 10.25 6" stroke-linecap="round" />
        </g>
      )}
    </svg>
  );
}

export function Status({ status, children }: { status: string; children?: ComponentChildren }): JSX.Element {
  const tone = toneOf(status);
  return (
    <span class={`status ${tone}`}>
      <Dot tone={tone} />
      {children ?? status}
    </span>
  );
}

export function Progress({ value, status, label, large }: { value: number; status: string; label: string; large?: boolean }): JSX.Element {
  const percent = Math.min(100, Math.max(0, value));
  return (
    <div
      class={`progress ${toneOf(status)}${large ? " large" : ""}`}
      role="progressbar"
      aria-label={label}
      aria-valuenow={Math.round(percent)}
      aria-valuemin={0}
      aria-valuemax={100}
    >
      <div style={{ transform: `scaleX(${percent / 100})` }} />
    </div>
  );
}

/** "12 s ago"; the exact time on hover. Its own component, so that a page of them costs little. */
export function Ago({ at }: { at: number }): JSX.Element {
  if (at <= 0) return <span class="muted">—</span>;
  return (
    <time dateTime={exact(at)} title={exact(at)}>
      {ago(at, now.value)}
    </time>
  );
}

export function Heading({ title, children, back }: { title: ComponentChildren; children?: ComponentChildren; back?: ComponentChildren }): JSX.Element {
  return (
    <header class="heading">
      {back && <p class="back">{back}</p>}
      <h1>{title}</h1>
      {children && <div class="lede">{children}</div>}
    </header>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }): JSX.Element {
  return (
    <div class="empty">
      <Waves />
      <h2>{title}</h2>
      {children}
    </div>
  );
}

export function Failure({ message, retry }: { message: string; retry?: () => void }): JSX.Element {
  return (
    <div class="failure" role="alert">
      <Dot tone="bad" />
      <p>{sentence(message)}</p>
      {retry && (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Rows that are on their way. */
export function Skeleton({ rows = 6 }: { rows?: number }): JSX.Element {
  return (
    <div class="skeleton" role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, index) => (
        <div key={index} />
      ))}
    </div>
  );
}

/** One of a few; a radio group by any other name. */
export function Choice<T extends string>({
  label,
  options,
  value,
  choose,
}: {
  label: string;
  options: readonly (readonly [T, string, number?])[];
  value: T;
  choose: (value: T) => void;
}): JSX.Element {
  return (
    <div class="choice" role="group" aria-label={label}>
      {options.map(([key, name, amount]) => (
        <button type="button" key={key} aria-pressed={key === value} onClick={() => choose(key)}>
          {name}
          {amount !== undefined && <span class="amount">{amount}</span>}
        </button>
      ))}
    </div>
  );
}

/** The house mark: one voice, heard by many. */
export function Mark(): JSX.Element {
  return (
    <svg class="mark" viewBox="0 0 24 24" width="22" height="22" fill="none" stroke="currentColor" stroke-width="2.2" stroke-linecap="round" aria-hidden="true">
      <circle cx="4.5" cy="12" r="2.4" fill="currentColor" stroke="none" />
      <path d="M10 8.2a5.4 5.4 0 0 1 0 7.6M14.2 5a10 10 0 0 1 0 14M18.4 1.8a14.6 14.6 0 0 1 0 20.4" />
    </svg>
  );
}

function Waves(): JSX.Element {
  return (
    <svg
      class="waves"
      viewBox="0 0 120 48"
      width="120"
      height="48"
      fill="none"
      stroke="currentColor"
      stroke-width="1.5"
      stroke-linecap="round"
      aria-hidden="true"
    >
      <circle cx="14" cy="24" r="3.5" fill="currentColor" stroke="none" />
      <path d="M32 16a12 12 0 0 1 0 16" />
      <path d="M48 11a20 20 0 0 1 0 26" opacity=".7" />
      <path d="M64 7a27 27 0 0 1 0 34" opacity=".45" />
      <path d="M80 4a32 32 0 0 1 0 40" opacity=".25" />
      <path d="M96 2a36 36 0 0 1 0 44" opacity=".12" />
    </svg>
  );
}
