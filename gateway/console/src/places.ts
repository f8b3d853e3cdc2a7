/** Which page shows a channel, and which channel a page shows. */

import { to } from "./router.ts";

/** Pages of one thing, by the kind in its channel's name. */
const HOMES: Record<string, string> = { deployment: "deployments", task: "tasks", agent: "agents", container: "containers", user: "users" };

export function hrefOfChannel(channel: string): string {
  const colon = channel.indexOf(":");
  const home = colon > 0 ? HOMES[channel.slice(0, colon)] : undefined;
  return home ? to(home, channel.slice(colon + 1)) : to("channel", channel);
}

/** The channel that an address is about; null where it is about none. */
export function channelOf([slug, id]: readonly string[]): string | null {
  if (id === undefined) return null;
  if (slug === "channel") return id;
  const kind = Object.entries(HOMES).find(([, home]) => home === slug)?.[0];
  return kind ? `${kind}:${id}` : null;
}
