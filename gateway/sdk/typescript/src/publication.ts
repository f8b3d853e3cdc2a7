/** What may be published (contract §3). */

import type { StreamEvents } from "./events.ts";

/** What decorates an event, whatever it is. */
export interface Decoration {
  /** It also goes to this user's channel. */
  user?: string | undefined;
  /** The same id within 24 h is applied once: safe to repeat after a failure. */
  event_id?: string | undefined;
  /** Tasks and deployments: without another event of this id for so long, it ends as `abandoned`. */
  lease_ms?: number | undefined;
  /** When it happened, ms since 1970. */
  at?: number | undefined;
  traceparent?: string | undefined;
}

/** Whom an event is about. Messages without an id are for all. */
type About<S> = S extends "messages" ? { id?: string | undefined } : { id: string };
/** `data` may be left out where none of it is required. */
type Data<D> = Record<never, never> extends D ? { data?: D | undefined } : { data: D };

type Of<S extends keyof StreamEvents> = {
  [T in keyof StreamEvents[S] & string]: { stream: S; type: T } & About<S> & Data<StreamEvents[S][T]> & Decoration;
}[keyof StreamEvents[S] & string];

/** One event to publish; a misspelt stream, type or field does not compile. */
export type Publication = { [S in keyof StreamEvents]: Of<S> }[keyof StreamEvents];
