/** A finished run played again: its events come in the order and at the pace in which they were recorded. */

import { type Signal, signal, useSignal } from "@preact/signals";
import { type EntityKind, type EventFrame, foldEntity, type Json, type Position } from "fanfare";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { duration, plural } from "../format.ts";
import { append, type Line, type LogRow } from "../log/lines.ts";
import { archive } from "../log/log.ts";
import { LogRows, type Place } from "../log/log-rows.tsx";
import { enter, type Stage } from "../log/stages.ts";
import { Choice, Failure } from "./bits.tsx";

/** A replay holds so many events at most. */
const EVENTS_MAX = 50_000;
const PAGE = 1000;
const TICK_MS = 100;
const SPEEDS = [1, 10, 60] as const;
/** A pause in which nothing happened is shortened to this. */
const PAUSE_MAX_MS = 60_000;

export class Replaying {
  readonly rows: LogRow[] = [];
  readonly version = signal(0);
  readonly state = signal<Json | null>(null);
  readonly stages = signal<readonly Stage[]>([]);
  readonly error = signal("");
  readonly loading = signal(true);
  readonly cut = signal(false);
  /** Ms since the beginning: how far it is, and how long it takes. */
  readonly at = signal(0);
  readonly length = signal(0);
  readonly speed = signal<number>(10);
  readonly playing = signal(true);
  longest = 0;
  #events: EventFrame[] = [];
  /** When each event comes, ms from the beginning. */
  #times: number[] = [];
  #shown = 0;
  #timer: ReturnType<typeof setInterval>;

  constructor(readonly channel: string) {
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    void this.#read();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #read(): Promise<void> {
    let since: Position | null = null;
    try {
      while (this.#events.length < EVENTS_MAX) {
        const page = await archive(this.channel, { since, limit: PAGE });
        this.#events.push(...page.events);
        if (!page.next || page.next === since) break;
        since = page.next;
      }
      this.cut.value = this.#events.length >= EVENTS_MAX;
    } catch (error) {
      this.error.value = (error as Error).message;
    }
    let time = 0;
    let before = this.#events[0]?.at ?? 0;
    for (const { at } of this.#events) {
      time += Math.min(PAUSE_MAX_MS, Math.max(0, at - before));
      before = Math.max(before, at);
      this.#times.push(time);
    }
    this.length.value = time;
    this.loading.value = false;
  }

  #tick(): void {
    if (this.loading.peek() || !this.playing.peek()) return;
    this.seek(Math.min(this.length.peek(), this.at.peek() + TICK_MS * this.speed.peek()));
    if (this.at.peek() >= this.length.peek()) this.playing.value = false;
  }

  /** Shows what was so long after the beginning. */
  seek(at: number): void {
    if (at < this.at.peek()) {
      this.rows.length = 0;
      this.#shown = 0;
      this.state.value = null;
      this.stages.value = [];
    }
    this.at.value = at;
    const [kind, id] = [this.channel.slice(0, this.channel.indexOf(":")) as EntityKind, this.channel.slice(this.channel.indexOf(":") + 1)];
    let [state, stages] = [this.state.peek(), this.stages.peek()];
    for (let event = this.#events[this.#shown]; event && (this.#times[this.#shown] ?? 0) <= at; event = this.#events[this.#shown]) {
      const from = this.rows.length;
      append(this.rows, event);
      for (let n = from; n < this.rows.length; n++) this.longest = Math.max(this.longest, (this.rows[n] as Line).columns);
      state = foldEntity(kind, id, state, event);
      stages = enter(stages, event);
      this.#shown++;
    }
    this.state.value = state;
    this.stages.value = stages;
    this.version.value++;
  }

  view(label: string): JSX.Element {
    return <ReplayLog replay={this} label={label} />;
  }
}

/** The replay of this page, once one was started. */
export function useReplay(channel: string): Signal<Replaying | null> {
  const replay = useSignal<Replaying | null>(null);
  useEffect(
    () => () => {
      replay.peek()?.close();
      replay.value = null;
    },
    [channel, replay],
  );
  return replay;
}

export function Replay({ replay, channel }: { replay: Signal<Replaying | null>; channel: string }): JSX.Element {
  const toggle = (): void => {
    replay.value?.close();
    replay.value = replay.value ? null : new Replaying(channel);
  };
  return (
    <button type="button" aria-pressed={replay.value !== null} onClick={toggle}>
      {replay.value ? "End replay" : "Replay"}
    </button>
  );
}

function ReplayLog({ replay, label }: { replay: Replaying; label: string }): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const following = useSignal(true);
  const target = useSignal<Place | null>(null);
  const { at, length, speed, playing } = replay;
  const play = (): void => {
    if (at.value >= length.value) replay.seek(0);
    playing.value = !playing.value;
  };
  return (
    <section class="log" aria-label={label}>
      <div class="log-bar replay">
        <button type="button" class="primary" disabled={replay.loading.value} onClick={play}>
          {playing.value ? "Pause" : "Play"}
        </button>
        <Choice
          label="Speed"
          value={String(speed.value)}
          choose={(value) => (speed.value = Number(value))}
          options={SPEEDS.map((one) => [String(one), `${one}×`] as const)}
        />
        <input
          type="range"
          aria-label="Time"
          min={0}
          max={Math.max(1, length.value)}
          step={100}
          value={at.value}
          aria-valuetext={`${duration(at.value)} of ${duration(length.value)}`}
          onInput={(event) => {
            playing.value = false;
            replay.seek(Number(event.currentTarget.value));
          }}
        />
        <span class="amount">
          {duration(at.value)} of {duration(length.value)}
        </span>
      </div>
      {replay.cut.value && <p class="note">The first {plural(EVENTS_MAX, "event")} are played.</p>}
      {replay.error.value && <Failure message={replay.error.value} />}
      <LogRows
        source={replay}
        box={box}
        label={label}
        following={following}
        target={target}
        limit={null}
        start={0}
        pattern={null}
        chosen={null}
        empty={replay.loading.value ? "Reading the run…" : "Nothing yet."}
      />
    </section>
  );
}
