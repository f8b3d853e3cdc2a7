/** The events of any channel, newest first: its archive page by page, then live, searched by the server. */

import { type Signal, signal, useSignal } from "@preact/signals";
import type { EventFrame, Json, Position, Subscription } from "fanfare";
import type { JSX } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import { CALM_MS, oncePerFrame } from "../clock.ts";
import { exact, stamp } from "../format.ts";
import { client } from "../gateway.ts";
import { calm } from "../installation.ts";
import { archive } from "../log/log.ts";
import { Empty, Failure, Unknown } from "./bits.tsx";

const PAGE = 100;
const EVENTS_MAX = 5000;
/** Calls of one search for the next hit, of 10,000 events each. */
const CALLS_MAX = 20;

export class ChannelEvents {
  readonly shown = signal<readonly EventFrame[]>([]);
  readonly next = signal<Position | null>(null);
  readonly loading = signal(true);
  readonly error = signal("");
  readonly state = signal<Json | null>(null);
  readonly words = signal("");
  #live: EventFrame[] = [];
  readonly #feed: Subscription;
  readonly #flush = oncePerFrame(() => {
    const known = new Set(this.shown.value.slice(0, PAGE).map(({ position }) => position));
    const fresh = this.#live.filter(({ position }) => !known.has(position)).reverse();
    this.#live = [];
    this.shown.value = [...fresh, ...this.shown.value].slice(0, EVENTS_MAX);
  }, CALM_MS);

  constructor(readonly channel: string) {
    this.#feed = client.subscribe<string>(channel) as unknown as Subscription;
    this.#feed.on("event", (event) => {
      if (this.words.peek() && !JSON.stringify(event.data).toLowerCase().includes(this.words.peek().toLowerCase())) return;
      this.#live.push(event);
      if (!this.loading.peek()) this.#flush();
    });
    this.#feed.on("state", (state) => (this.state.value = state));
    this.#feed.on("error", (error) => (this.error.value = error.message));
    void this.read();
  }

  close(): void {
    this.#feed.unsubscribe();
  }

  search(words: string): void {
    this.words.value = words;
    this.shown.value = [];
    void this.read();
  }

  /** The newest page, or the next older one. */
  async read(since: Position | null = null): Promise<void> {
    this.loading.value = true;
    const q = this.words.peek();
    try {
      let found: EventFrame[] = [];
      for (let call = 0; call < CALLS_MAX; call++) {
        const page = await archive(this.channel, { since, reverse: true, limit: PAGE, ...(q && { q }) });
        found = [...found, ...page.events];
        since = this.next.value = page.next;
        if (!since || found.length > 0) break;
      }
      if (q === this.words.peek()) this.shown.value = [...this.shown.value, ...found];
      this.error.value = "";
    } catch (error) {
      this.error.value = (error as Error).message;
    }
    this.loading.value = false;
    this.#flush();
  }
}

/** A channel for as long as the component is in the page. */
export function useChannel(channel: string): { state: Signal<Json | null>; events: ChannelEvents } {
  const events = useMemo(() => new ChannelEvents(channel), [channel]);
  useEffect(() => () => events.close(), [events]);
  return { state: events.state, events };
}

export function Events({ events, title }: { events: ChannelEvents; title: string }): JSX.Element {
  const typed = useSignal("");
  const { shown, loading, error, next } = events;
  const submit = (event: Event): void => {
    event.preventDefault();
    events.search(typed.value.trim());
  };
  return (
    <section aria-label={title} class="events">
      <div class="tools">
        <h2>{title}</h2>
        <form onSubmit={submit} class="inline">
          <label class="search">
            <span class="hidden">Search what events say</span>
            <input type="search" placeholder="Search" value={typed.value} onInput={(event) => (typed.value = event.currentTarget.value)} />
          </label>
          <button type="submit">Search</button>
        </form>
      </div>
      {error.value && <Failure message={error.value} retry={() => void events.read()} />}
      {shown.value.length === 0 &&
        (loading.value ? (
          <p class="quiet">Reading…</p>
        ) : error.value || !calm.value ? (
          <Unknown />
        ) : events.words.value ? (
          <p class="quiet">Nothing found.</p>
        ) : (
          <Empty title="No event yet" />
        ))}
      <ol class="plain received whole">
        {shown.value.map((event) => (
          <li key={event.position}>
            <details>
              <summary>
                <time title={exact(event.at)}>{stamp(event.at, "local", 0)}</time>
                <b>{event.event}</b>
                {event.id && <span class="id">{event.id}</span>}
                <code class="ellipsis">{brief(event.data)}</code>
              </summary>
              <pre tabIndex={0}>{JSON.stringify(event, null, 2)}</pre>
            </details>
          </li>
        ))}
      </ol>
      {next.value !== null && (
        <p class="more">
          <button type="button" disabled={loading.value} onClick={() => void events.read(next.value)}>
            {loading.value ? "Reading…" : "Show more"}
          </button>
        </p>
      )}
    </section>
  );
}

function brief(data: Json): string {
  const text = JSON.stringify(data);
  return text === "{}" ? "" : text.slice(0, 400);
}
