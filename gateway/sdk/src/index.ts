/** The Fanfare client: typed channels that resume by position. */

export type { Connection, FanfareEvents, FanfareOptions, Page, Publication, Published } from "./client.ts";
export { Fanfare } from "./client.ts";
export type { Verdict } from "./codes.ts";
export { FanfareError, meaning, verdict } from "./codes.ts";
export type { Stop } from "./emitter.ts";
export { type EntityKind, fold, foldEntity, LOG_LINES_MAX, logLines } from "./fold.ts";
export type * from "./frames.ts";
export type { ConnectionState, Reconnecting } from "./link.ts";
export { covers, distance } from "./position.ts";
export type { Item, Subscribed, SubscribeOptions, SubscriptionEvents } from "./subscription.ts";
export { Subscription } from "./subscription.ts";
export type { WebSocketConstructor, WebSocketLike } from "./wire.ts";
