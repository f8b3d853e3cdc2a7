/** The frames of `GET /v1/connect`, as they are on the wire (contract §5). */

/** How far a channel was seen: `EPOCH-OFFSET`. Opaque; keep it and give it back as `since`. */
export type Position = string;

/** A JSON object whose keys nobody promised. */
export type Json = Record<string, unknown>;

/** One event of a channel; `EventOf` narrows its type and data by the channel. */
export interface EventFrame<D = Json, T extends string = string> {
  type: "event";
  channel: string;
  position: Position;
  /** The event's type: `deployment_update`, `task_log`, `notification` … */
  event: T;
  /** What the event is about; null when it is about nothing in particular. */
  id: string | null;
  data: D;
  /** When it happened, ms since 1970. */
  at: number;
  /** When it was recorded, ms since 1970: the time in states. */
  recorded: number;
  /** A message whose type was free to choose, however it is spelled: never one of the record's own. */
  free?: true;
  /** Set on the events before the position of `subscribed`, which `tail` asked for. */
  tail?: boolean;
  traceparent?: string;
}

/** Why a run of events cannot be had. `buffer`: this client's own reader was too slow. */
export type GapCause = "retention" | "epoch" | "ahead" | "latest" | "buffer";

/** Events that can no longer be had, said out loud: `from` and `to` are both missing. */
export interface GapFrame {
  type: "gap";
  channel: string;
  from: Position;
  to: Position;
  cause: GapCause;
}

/** The newest state of an entity, sent after a gap. */
export interface StateFrame<S = Json> {
  type: "state";
  channel: string;
  position: Position;
  state: S | null;
}

export interface WelcomeFrame {
  type: "welcome";
  connection: string;
  user: string | null;
  ping_ms: number;
  version: string;
  node?: string;
  /** What is missing behind the server, if anything. */
  degraded?: "broker" | "store" | "both" | null;
  /** What the server takes from this client. */
  limits?: { frames_per_second: number; subscriptions: number; frame_bytes: number };
  /** What this server knows beyond the first version. */
  features?: string[];
  partitions?: number;
}

export interface SubscribedFrame<S = Json> {
  type: "subscribed";
  channel: string;
  /** Safe to resume from; null on `presence`, which has no positions. */
  position: Position | null;
  /** The newest position of the channel. */
  head: Position | null;
  state: S | null;
  /** How many events of the tail come, where one was asked for. */
  tail?: number;
}

export interface ErrorFrame {
  type: "error";
  code: string;
  message: string;
  details?: { path: string; message: string }[];
  channel?: string;
}

export type PresenceStatus = "online" | "away" | "busy" | "offline";

export interface PresenceFrame {
  type: "presence";
  user: string | null;
  status: PresenceStatus;
  at: number;
}

export interface StatusFrame {
  type: "status";
  degraded: boolean;
  reason?: string;
}

export interface ByeFrame {
  type: "bye";
  reason: string;
  reconnect: boolean;
  after_ms: number;
}

/** Everything the server says. */
export type ServerFrame =
  | WelcomeFrame
  | SubscribedFrame
  | { type: "unsubscribed"; channel: string }
  | { type: "pong" }
  /** `expires_at`, ms since 1970; null for a credential without end. */
  | { type: "token"; expires_at: number | null }
  | EventFrame
  | GapFrame
  | StateFrame
  | PresenceFrame
  | StatusFrame
  | ErrorFrame
  | ByeFrame;

export interface SubscribeFrame {
  type: "subscribe";
  channel: string;
  since?: Position;
  mode?: "all" | "latest";
  tail?: number;
}

/** Everything a client says. */
export type ClientFrame =
  | SubscribeFrame
  | { type: "unsubscribe"; channel: string }
  | { type: "ping" }
  | { type: "token"; token: string }
  | { type: "presence"; status: PresenceStatus };
