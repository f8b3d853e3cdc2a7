/** The last events of all feeds, as they come. */

import { useSignal } from "@preact/signals";
import type { EventFrame } from "fanfare";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { CALM_MS, oncePerFrame } from "../clock.ts";
import { rights } from "../credential.ts";
import { plural } from "../format.ts";
import { client } from "../gateway.ts";
import { calm } from "../installation.ts";
import { to } from "../router.ts";
import { Ago, Empty, Status, Unknown } from "../ui/bits.tsx";

const FEEDS = ["deployments", "tasks", "agents", "repos", "alerts", "broadcast"];
const RECENT_MAX = 40;
const SHOWN = 9;

/** What an event says, in a few words. */
function gist({ event, data }: EventFrame): string {
  const text = (key: string): string => (typeof data[key] === "string" ? (data[key] as string) : "");
  const named = text("stage") || text("title") || text("currentTask") || text("message") || text("status") || text("state");
  if (named) return named;
  if (Array.isArray(data.repos)) return plural(data.repos.length, "repository", "repositories");
  if (Array.isArray(data.lines)) return plural(data.lines.length, "line");
  return event.replace(/_/g, " ");
}

function hrefOf({ channel, id }: EventFrame): string {
  if (id && ["deployments", "tasks", "agents"].includes(channel)) return to(channel, id);
  return ["repos", "alerts"].includes(channel) ? to(channel) : to("channel", channel);
}

export function RecentActivity(): JSX.Element {
  const recent = useSignal<readonly EventFrame[]>([]);
  const subscribed = useSignal(false);
  useEffect(() => {
    let buffer: EventFrame[] = [];
    const flush = oncePerFrame(() => {
      recent.value = [...buffer.reverse(), ...recent.peek()].slice(0, RECENT_MAX);
      buffer = [];
    }, CALM_MS);
    const feeds = FEEDS.filter((channel) => rights.peek().reads(channel)).map((channel) => {
      const feed = client.subscribe<string>(channel, { tail: 8 });
      feed.on("error", () => {}); // A feed that may not be read shows nothing.
      feed.on("subscribed", () => (subscribed.value = true));
      feed.on("event", (event) => {
        buffer.push(event);
        if (buffer.length > RECENT_MAX) buffer.shift();
        flush();
      });
      return feed;
    });
    return () => feeds.forEach((feed) => feed.unsubscribe());
  }, [recent, subscribed]);
  const rows = [...recent.value].sort((a, b) => b.at - a.at).slice(0, SHOWN);
  return (
    <section aria-labelledby="recent">
      <h2 id="recent">
        <a href={to("inspector")}>Recent activity</a>
      </h2>
      {rows.length > 0 ? (
        <ol class="plain recent">
          {rows.map((event) => (
            <li key={`${event.channel}/${event.position}`}>
              <Status status={String(event.data.status ?? event.data.state ?? event.data.severity ?? "")}>
                <a href={hrefOf(event)}>{event.id ?? event.channel}</a>
              </Status>
              <span class="gist">{gist(event)}</span>
              <Ago at={event.at} />
            </li>
          ))}
        </ol>
      ) : subscribed.value && calm.value ? (
        <Empty title="Nothing has happened yet">
          <p>Events appear here as they are recorded.</p>
        </Empty>
      ) : (
        <Unknown what="What happened" />
      )}
    </section>
  );
}
