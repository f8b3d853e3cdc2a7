/** What goes to people: everybody's channel, one user's, a conversation's; and any channel by its name. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { rights } from "../credential.ts";
import { go, to, withQuery } from "../router.ts";
import { Heading } from "../ui/bits.tsx";
import { Events, useChannel } from "../ui/events.tsx";
import { Share } from "../ui/share.tsx";
import { CutOff } from "./connections.tsx";

const DAY_MS = 24 * 3_600_000;

export function Messages(): JSX.Element {
  const { events } = useChannel("broadcast");
  const wanted = useSignal("");
  const submit = (event: Event): void => {
    event.preventDefault();
    const name = wanted.value.trim();
    if (name) go(name.includes(":") ? to("channel", name) : to("users", name));
  };
  return (
    <>
      <Heading title="Messages">
        <p>Notifications for all, and for one user or conversation.</p>
      </Heading>
      <form class="inline find" onSubmit={submit}>
        <label>
          <span class="hidden">User, or conversation:ID</span>
          <input
            class="mono"
            placeholder="User, or conversation:ID"
            value={wanted.value}
            spellcheck={false}
            autocomplete="off"
            onInput={(event) => (wanted.value = event.currentTarget.value)}
          />
        </label>
        <button type="submit">Show</button>
      </form>
      <Events events={events} title="For all" />
    </>
  );
}

export function UserPage({ id }: { id: string }): JSX.Element {
  const { events } = useChannel(`user:${id}`);
  return (
    <>
      <Heading
        title={id}
        back={<a href={to("messages")}>Messages</a>}
        aside={
          rights.value.operator && (
            <>
              <a class="button" href={withQuery(to("connections"), { user: id })}>
                Connections
              </a>
              <CutOff user={id} />
              <CutOff user={id} denyMs={DAY_MS} />
            </>
          )
        }
      >
        <p>What was meant for this user.</p>
      </Heading>
      <Events events={events} title="Messages" />
    </>
  );
}

export function ChannelPage({ name }: { name: string }): JSX.Element {
  const { state, events } = useChannel(name);
  return (
    <>
      <Heading
        title={name}
        aside={
          <>
            {rights.value.operator && (
              <a class="button" href={withQuery(to("connections"), { channel: name })}>
                Who listens
              </a>
            )}
            <Share channel={name} />
          </>
        }
      >
        <p>A channel as it is recorded.</p>
      </Heading>
      {state.value && (
        <section class="result" aria-labelledby="state">
          <h2 id="state">State</h2>
          <pre tabIndex={0}>{JSON.stringify(state.value, null, 2)}</pre>
        </section>
      )}
      <Events events={events} title="Events" />
    </>
  );
}
