/** Vue: a channel as refs, for as long as the component or scope lives. */

import { type MaybeRefOrGetter, onScopeDispose, type ShallowRef, shallowRef, toValue, watch } from "vue";
import type { Fanfare } from "./client.ts";
import type { EventOf, Named, StateOf } from "./events.ts";
import type { SubscribeOptions } from "./subscription.ts";

export interface ChannelRefs<C extends string> {
  state: ShallowRef<StateOf<C> | null>;
  event: ShallowRef<EventOf<C> | null>;
  status: ShallowRef<"idle" | "subscribing" | "subscribed" | "disconnected">;
  error: ShallowRef<unknown>;
}

/** Listens to a channel, which may change; null listens to nothing. */
export function useChannel<C extends string>(
  client: Fanfare,
  channel: MaybeRefOrGetter<(C & Named<C>) | null>,
  options: SubscribeOptions = {},
): ChannelRefs<C> {
  const refs: ChannelRefs<C> = { state: shallowRef(null), event: shallowRef(null), status: shallowRef("idle"), error: shallowRef(null) };
  let stop = (): void => {};
  const follow = (name: (C & Named<C>) | null): void => {
    stop();
    [refs.state.value, refs.event.value, refs.error.value] = [null, null, null];
    refs.status.value = name === null ? "idle" : "subscribing";
    if (name === null) return;
    const subscription = client.subscribe<C>(name, options);
    stop = () => subscription.unsubscribe();
    subscription.on("subscribed", ({ state }) => {
      [refs.status.value, refs.state.value, refs.error.value] = ["subscribed", state, null];
    });
    subscription.on("interrupted", () => (refs.status.value = "disconnected"));
    subscription.on("state", (state) => (refs.state.value = state));
    subscription.on("event", (event) => (refs.event.value = event));
    subscription.on("error", (error) => (refs.error.value = error));
  };
  if (typeof window !== "undefined") watch(() => toValue(channel), follow, { immediate: true });
  onScopeDispose(() => stop());
  return refs;
}
