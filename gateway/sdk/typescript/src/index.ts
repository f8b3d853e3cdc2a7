/** The Fanfare client: typed channels that resume by position. */

export type { FanfareEvents, FanfareOptions, HistoryQuery, Page, Published } from "./client.ts";
export { Fanfare } from "./client.ts";
export type { Verdict } from "./codes.ts";
export { FanfareError, meaning, verdict } from "./codes.ts";
export type { Stop } from "./emitter.ts";
// Whole, so that types of one's own can be declared beside these.
export type * from "./events.ts";
export { type EntityKind, fold, foldEntity, LOG_LINES_MAX, logLines } from "./fold.ts";
export type * from "./frames.ts";
export type { Connection, ConnectionEvents, ConnectOptions } from "./gateway-client.ts";
export type { ConnectionState, Reconnecting } from "./link.ts";
export type * from "./publication.ts";
export type * from "./states.ts";
export type { Item, Subscribed, SubscribeOptions, SubscriptionEvents } from "./subscription.ts";
export { Subscription } from "./subscription.ts";
export type * from "./tasks.ts";
export type { WebSocketConstructor, WebSocketLike } from "./wire.ts";
