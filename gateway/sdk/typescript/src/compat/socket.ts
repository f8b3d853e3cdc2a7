/** What the compatible clients share: an older service's own protocol over a link that comes back by itself. */

import { Link } from "../link.ts";
import { openSocket, type WebSocketConstructor } from "../wire.ts";

export interface CompatOptions {
  /** The service: `https://host` or `ws://host`; default: the page's own host. */
  url?: string | undefined;
  WebSocket?: WebSocketConstructor | undefined;
  minReconnectDelay?: number | undefined;
  maxReconnectDelay?: number | undefined;
}

/** A link that is ready as soon as its WebSocket opens, and expects a sign of life each `beatMs`. */
export function compatLink<F>(path: () => string, beatMs: number, options: CompatOptions): Link<F> {
  const Socket = options.WebSocket ?? (globalThis.WebSocket as WebSocketConstructor | undefined);
  const base = options.url ?? (typeof location === "undefined" ? undefined : location.origin);
  if (!Socket) throw new Error("no WebSocket here: give one as an option");
  if (!base) throw new Error("give the url of the service");
  const root = base.replace(/^http/, "ws").replace(/\/+$/, "");
  const link = new Link<F>({ ...options, dial: async (to) => openSocket(Socket, root + path(), to) });
  link.on("opened", (wire) => {
    link.ready(wire);
    link.beat(beatMs);
  });
  return link;
}
