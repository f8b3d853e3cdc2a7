/** Svelte: a channel as a store, followed while somebody reads it. */

import type { Fanfare } from "./client.ts";
import type { EventOf, Named, StateOf } from "./events.ts";
import type { SubscribeOptions } from "./subscription.ts";

export interface ChannelValue<C extends string> {
  state: StateOf<C> | null;
  event: EventOf<C> | null;
  status: "subscribing" | "subscribed" | "disconnected";
  error: unknown;
}

/** What Svelte calls a readable store. */
export interface ChannelStore<C extends string> {
  subscribe(run: (value: ChannelValue<C>) => void): () => void;
}

/** `const deployment = channel(client, "deployment:d1")`, then `$deployment.state` in the markup. */
export function channel<C extends string>(client: Fanfare, name: C & Named<C>, options: SubscribeOptions = {}): ChannelStore<C> {
  return {
    subscribe: (run) => {
      let value: ChannelValue<C> = { state: null, event: null, status: "subscribing", error: null };
      const tell = (part: Partial<ChannelValue<C>>): void => run((value = { ...value, ...part }));
      tell({});
      if (typeof window === "undefined") return () => {};
      const subscription = client.subscribe<C>(name, options);
      subscription.on("subscribed", ({ state }) => tell({ status: "subscribed", state, error: null }));
      subscription.on("interrupted", () => tell({ status: "disconnected" }));
      subscription.on("state", (state) => tell({ state }));
      subscription.on("event", (event) => tell({ event }));
      subscription.on("error", (error) => tell({ error }));
      return () => subscription.unsubscribe();
    },
  };
}
