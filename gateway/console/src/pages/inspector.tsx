/** The inspector: listen to any channel, publish any event by hand. */

import { type Signal, signal, useSignal } from "@preact/signals";
import type { Item, Json, Publication, Subscription } from "fanfare";
import type { JSX } from "preact";
import { CALM_MS, oncePerFrame } from "../clock.ts";
import { count, plural, time } from "../format.ts";
import { client } from "../gateway.ts";
import { Dot, Failure, Heading } from "../ui/bits.tsx";

const CHANNELS = ["deployments", "tasks", "agents", "repos", "alerts", "conversations", "broadcast", "presence"];
const KINDS = ["deployment:", "task:", "agent:", "container:", "user:", "conversation:", "topic:"];
const ITEMS_MAX = 500;

/** Listening goes on while other pages are looked at. */
class Ear {
  readonly items = signal<readonly (Item<Json> & { key: number })[]>([]);
  readonly error = signal("");
  readonly count = signal(0);
  readonly active = signal(false);
  readonly paused = signal(false);
  #keys = 0;
  #buffer: (Item<Json> & { key: number })[] = [];
  readonly #subscription: Subscription<Json>;
  readonly #flush = oncePerFrame(() => {
    this.count.value = this.#keys;
    if (!this.paused.value) this.show();
  }, CALM_MS);

  constructor(
    readonly channel: string,
    tail: number,
  ) {
    this.#subscription = client.subscribe<string>(channel, { tail });
    for (const what of ["event", "gap", "presence"] as const) this.#subscription.on(what, (item) => this.#take(item));
    this.#subscription.on("subscribed", () => (this.active.value = true));
    this.#subscription.on("error", (error) => (this.error.value = error.message));
  }

  #take(item: Item<Json>): void {
    this.#buffer.push({ ...item, key: ++this.#keys });
    if (this.#buffer.length > ITEMS_MAX) this.#buffer.shift();
    this.#flush();
  }

  show(): void {
    this.items.value = [...this.items.value, ...this.#buffer.splice(0)].slice(-ITEMS_MAX);
  }

  close(): void {
    this.#subscription.unsubscribe();
  }
}

const ear: Signal<Ear | null> = signal(null);

export function Inspector(): JSX.Element {
  return (
    <>
      <Heading title="Inspector">
        <p>Listen to any channel, publish any event by hand.</p>
      </Heading>
      <div class="inspector">
        <Listen />
        <Publish />
      </div>
    </>
  );
}

function Listen(): JSX.Element {
  const name = useSignal(ear.value?.channel ?? "");
  const listen = (event: Event): void => {
    event.preventDefault();
    const channel = name.value.trim();
    ear.value?.close();
    ear.value = channel ? new Ear(channel, 20) : null;
  };
  const pick = (channel: string): void => {
    name.value = channel;
    ear.value?.close();
    ear.value = new Ear(channel, 20);
  };
  return (
    <section class="listen" aria-labelledby="listen">
      <h2 id="listen">Listen</h2>
      <form class="inline" onSubmit={listen}>
        <label>
          <span class="hidden">Channel</span>
          <input
            class="mono"
            list="channels"
            placeholder="deployment:ID"
            value={name.value}
            onInput={(event) => (name.value = event.currentTarget.value)}
            spellcheck={false}
            autocomplete="off"
          />
        </label>
        <datalist id="channels">
          {[...CHANNELS, ...KINDS].map((channel) => (
            <option key={channel} value={channel} />
          ))}
        </datalist>
        <button type="submit" class="primary">
          Listen
        </button>
        {ear.value && (
          <button
            type="button"
            onClick={() => {
              ear.value?.close();
              ear.value = null;
            }}
          >
            Stop
          </button>
        )}
      </form>
      {ear.value ? (
        <Received ear={ear.value} />
      ) : (
        <p class="pick">
          {CHANNELS.map((channel) => (
            <button type="button" key={channel} class="subtle mono" onClick={() => pick(channel)}>
              {channel}
            </button>
          ))}
        </p>
      )}
    </section>
  );
}

function Received({ ear }: { ear: Ear }): JSX.Element {
  const items = ear.items.value;
  if (ear.error.value) return <Failure message={ear.error.value} />;
  return (
    <>
      <div class="received-bar">
        <span class="status live">
          <Dot tone={ear.active.value ? "live" : "idle"} />
          <span class="mono">{ear.channel}</span>
        </span>
        <span class="amount">{plural(ear.count.value, "item")}</span>
        <button
          type="button"
          aria-pressed={ear.paused.value}
          onClick={() => {
            ear.paused.value = !ear.paused.value;
            if (!ear.paused.value) ear.show();
          }}
        >
          {ear.paused.value ? `Paused · ${count(ear.count.value - (items.at(-1)?.key ?? 0))} new` : "Pause"}
        </button>
      </div>
      {items.length === 0 && <p class="quiet">{ear.active.value ? "Nothing received yet." : "Subscribing…"}</p>}
      <ol class="plain received" role="log" aria-live="off" aria-label={`What was received on ${ear.channel}`} tabIndex={0}>
        {[...items]
          .reverse()
          .slice(0, 100)
          .map((item) => (
            <ReceivedItem key={item.key} item={item} />
          ))}
      </ol>
    </>
  );
}

function ReceivedItem({ item }: { item: Item<Json> }): JSX.Element {
  if (item.type === "gap")
    return (
      <li class="gap">
        Missing from {item.from} to {item.to}: {item.cause}
      </li>
    );
  if (item.type === "presence")
    return (
      <li>
        <b>{item.user ?? "anonymous"}</b> is {item.status}
      </li>
    );
  if (item.type === "state") return <li class="gap">State at {item.position}</li>;
  const data = JSON.stringify(item.data);
  return (
    <li>
      <details>
        <summary>
          <time>{time(item.at)}</time>
          <b>{item.event}</b>
          {item.id && <span class="id">{item.id}</span>}
          <code class="ellipsis">{data === "{}" ? "" : data}</code>
        </summary>
        <pre>{JSON.stringify(item, null, 2).replace(/,?\n {2}"key": \d+/, "")}</pre>
      </details>
    </li>
  );
}

const EXAMPLES: Record<Publication["stream"], [type: string, id: string, data: object]> = {
  deployments: ["deployment_update", "deploy-123", { status: "building", progress: 50, stage: "Building project" }],
  tasks: ["task_created", "task-1", { title: "Review pull request 482", executor: "codex" }],
  agents: ["alert", "disk-1", { severity: "warning", title: "Disk is 84 % full" }],
  containers: ["log", "c1", { level: "info", message: "Hello" }],
  messages: ["notification", "", { level: "info", message: "Maintenance at noon" }],
  topics: ["reading", "greenhouse-2", { temperature: 21.5 }],
};

function Publish(): JSX.Element {
  const stream = useSignal<Publication["stream"]>("deployments");
  const [type, id, data] = EXAMPLES[stream.value];
  const fields = { type: useSignal(type), id: useSignal(id), data: useSignal(JSON.stringify(data, null, 2)) };
  const outcome = useSignal<{ good: boolean; lines: string[] } | null>(null);
  const busy = useSignal(false);

  const choose = (next: Publication["stream"]): void => {
    stream.value = next;
    const [type, id, data] = EXAMPLES[next];
    fields.type.value = type;
    fields.id.value = id;
    fields.data.value = JSON.stringify(data, null, 2);
    outcome.value = null;
  };
  const publish = async (event: Event): Promise<void> => {
    event.preventDefault();
    busy.value = true;
    try {
      const event = { stream: stream.value, type: fields.type.value, id: fields.id.value || undefined, data: parsed(fields.data.value) };
      const { published } = await client.publish(event as Publication);
      const lines = published.map(({ channel, position }) => `${channel} at ${position}`);
      outcome.value = { good: true, lines: lines.length > 0 ? lines : ["Accepted; it will be recorded soon."] };
    } catch (error) {
      const { message, details } = error as { message: string; details?: { problems?: { path: string; message: string }[] } };
      const problems = details?.problems?.map(({ path, message }) => `${path} ${message}`);
      outcome.value = { good: false, lines: problems?.length ? problems : [message] };
    }
    busy.value = false;
  };
  return (
    <section class="publish" aria-labelledby="publish">
      <h2 id="publish">Publish</h2>
      <form onSubmit={(event) => void publish(event)}>
        <label>
          <span>Stream</span>
          <select value={stream.value} onChange={(event) => choose(event.currentTarget.value as Publication["stream"])}>
            {Object.keys(EXAMPLES).map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <div class="pair">
          <label>
            <span>Type</span>
            <input class="mono" value={fields.type.value} onInput={(event) => (fields.type.value = event.currentTarget.value)} spellcheck={false} />
          </label>
          <label>
            <span>Id</span>
            <input
              class="mono"
              placeholder="none"
              value={fields.id.value}
              onInput={(event) => (fields.id.value = event.currentTarget.value)}
              spellcheck={false}
            />
          </label>
        </div>
        <label>
          <span>Data</span>
          <textarea class="mono" rows={9} spellcheck={false} value={fields.data.value} onInput={(event) => (fields.data.value = event.currentTarget.value)} />
        </label>
        <button type="submit" class="primary" disabled={busy.value}>
          Publish
        </button>
      </form>
      <div role="status">
        {outcome.value && (
          <ul class={`plain outcome ${outcome.value.good ? "good" : "bad"}`}>
            {outcome.value.lines.map((line) => (
              <li key={line}>
                <Dot tone={outcome.value?.good ? "good" : "bad"} />
                {line}
              </li>
            ))}
          </ul>
        )}
      </div>
    </section>
  );
}

/** The data as typed; what is no JSON is said in plain words. */
function parsed(text: string): object {
  try {
    return JSON.parse(text || "{}") as object;
  } catch (error) {
    throw new Error(`The data is no JSON: ${(error as Error).message}`);
  }
}
