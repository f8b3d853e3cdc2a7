//#region src/codes.d.ts
/** Close codes (contract §5): the one place that decides whether a client comes back. */
/** `retry`: come back with back-off. `token`: come back with a new token, once. `stop`: stay away. */
type Verdict = "retry" | "token" | "stop";
/** What to do after a close. Codes that nobody knows are retried: the server may be newer. */
declare function verdict(code: number): Verdict;
/** A close code in words. */
declare function meaning(code: number): string;
/** Something that went wrong, told by the server or found here. */
declare class FanfareError extends Error {
  /** A close code (`4001`), an HTTP status (`429`) or the server's own word (`forbidden`). */
  readonly code: string | number;
  /** Whether the client gave up: it stays disconnected until `connect()` is called. */
  readonly terminal: boolean;
  /** The server's details, as they came. */
  readonly details: unknown;
  override readonly name = "FanfareError";
  constructor(code: string | number, message: string, terminal?: boolean, details?: unknown);
}
//#endregion
//#region src/emitter.d.ts
/** A typed event emitter of thirty lines. */
/** Ends what it was returned for. */
type Stop = () => void;
/** `E` maps the name of each event to what its listeners receive. */
declare class Emitter<E extends object> {
  #private;
  /** Calls `listener` on each `event` until the answer is called. */
  on<K extends keyof E>(event: K, listener: (value: E[K]) => void): Stop;
  /** Calls `listener` on the next `event` only. */
  once<K extends keyof E>(event: K, listener: (value: E[K]) => void): Stop;
  /** A listener that throws is reported to the host: it keeps nobody else from hearing, and ends no process. */
  protected emit<K extends keyof E>(event: K, value: E[K]): void;
}
//#endregion
//#region src/wire.d.ts
/** One attempt at a connection: a WebSocket, or a stream of server-sent events. */
/** The part of the WebSocket interface that is used here; browsers, Node 22 and `ws` have it. */
interface WebSocketLike {
  readonly readyState: number;
  send(data: string): void;
  close(code?: number, reason?: string): void;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
}
type WebSocketConstructor = new (url: string, protocols?: string | string[]) => WebSocketLike;
//#endregion
//#region src/link.d.ts
type ConnectionState = "disconnected" | "connecting" | "connected";
interface Reconnecting {
  /** From 1; 0 where the server asked to come back. */
  attempt: number;
  /** Milliseconds until the attempt. */
  delay: number;
  /** Why the last connection or attempt ended. */
  reason: string;
}
//#endregion
export { Emitter as a, Verdict as c, WebSocketLike as i, meaning as l, Reconnecting as n, Stop as o, WebSocketConstructor as r, FanfareError as s, ConnectionState as t, verdict as u };