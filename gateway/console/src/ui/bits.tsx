/** Small things that every page is made of. */

import { useSignal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { now } from "../clock.ts";
import { ago, duration, exact, full, sentence, UNKNOWN } from "../format.ts";
import { troubles } from "../installation.ts";
import type { Resource } from "../resource.ts";

export type Tone = "live" | "good" | "bad" | "warn" | "idle";

const TONES: Record<string, Tone> = {
  pending: "idle",
  queued: "idle",
  assigned: "idle",
  starting: "live",
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
  expired: "warn",
  cancelled: "idle",
  dead: "bad",
  waiting: "live",
  recorded: "good",
  trimmed: "warn",
  silent: "warn",
  draining: "live",
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
export function Ago({ at }: { at: number | null | undefined }): JSX.Element {
  if (!at || at <= 0) return <span class="muted">{UNKNOWN}</span>;
  return (
    <time dateTime={exact(at)} title={exact(at)}>
      {ago(at, now.value)}
    </time>
  );
}

interface HeadingProps {
  title: ComponentChildren;
  children?: ComponentChildren;
  back?: ComponentChildren;
  /** What can be done here. */
  aside?: ComponentChildren;
}

export function Heading({ title, children, back, aside }: HeadingProps): JSX.Element {
  return (
    <header class="heading">
      {back && <p class="back">{back}</p>}
      <div class="heading-line">
        <h1>{title}</h1>
        {aside && <div class="aside">{aside}</div>}
      </div>
      {children && <div class="lede">{children}</div>}
      <Troubles />
    </header>
  );
}

/** What hinders this page from knowing how things are. */
function Troubles(): JSX.Element | null {
  if (troubles.value.length === 0) return null;
  return (
    <ul class="plain troubles" role="status">
      {troubles.value.map((trouble) => (
        <li key={trouble.slice(0, 40)}>
          <Dot tone="warn" />
          <span>{trouble}</span>
        </li>
      ))}
    </ul>
  );
}

/** In place of rows that cannot be known now. */
export function Unknown({ what = "What is here" }: { what?: string }): JSX.Element {
  return <p class="quiet unknown">{what} is unknown at the moment.</p>;
}

/** Says when an answer is too old to speak for now, or why there is none. */
export function Freshness<T>({ of, what }: { of: Resource<T>; what: string }): JSX.Element | null {
  const failure = of.failure.value;
  const readAt = of.readAt.value;
  if (readAt === null) {
    if (!failure) return null;
    return failure.status === 404 ? <p class="note">{what}: this server does not tell.</p> : <Failure message={`${what}: ${failure.message}`} />;
  }
  if (!of.stale.value) return null;
  return (
    <p class="note stale" role="status">
      <Dot tone="warn" /> {what} of {duration(Math.max(0, now.value - readAt))} ago{failure ? `: ${failure.message}` : ""}
    </p>
  );
}

/** A button that does something at once far-reaching: the first click asks, the second does. */
export function Sure({ children, question, act }: { children: ComponentChildren; question: string; act: () => Promise<string | null> }): JSX.Element {
  const state = useSignal<"idle" | "sure" | "busy">("idle");
  const outcome = useSignal<string | null>(null);
  const clicked = async (): Promise<void> => {
    if (state.value === "idle") return void (state.value = "sure");
    state.value = "busy";
    outcome.value = await act().catch((error: Error) => error.message);
    state.value = "idle";
  };
  if (outcome.value !== null) return <span class="muted">{outcome.value}</span>;
  return (
    <button
      type="button"
      class={state.value === "idle" ? "subtle" : "danger"}
      disabled={state.value === "busy"}
      onClick={() => void clicked()}
      onBlur={() => (state.value = state.value === "sure" ? "idle" : state.value)}
    >
      {state.value === "idle" ? children : question}
    </button>
  );
}

/** Something to copy, with a button that does. */
export function Copyable({ text, label }: { text: string; label: string }): JSX.Element {
  const done = useSignal(false);
  const copy = async (): Promise<void> => {
    await navigator.clipboard?.writeText(text);
    done.value = true;
    setTimeout(() => (done.value = false), 1500);
  };
  return (
    <div class="copyable">
      <pre tabIndex={0} role="group" aria-label={label}>
        {text}
      </pre>
      <button type="button" onClick={() => void copy()}>
        {done.value ? "Copied" : "Copy"}
        <span class="hidden"> {label}</span>
      </button>
    </div>
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
          {name} {amount !== undefined && <span class="amount">{full(amount)}</span>}
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
