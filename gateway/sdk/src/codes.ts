/** Close codes (contract §5): the one place that decides whether a client comes back. */

/** `retry`: come back with back-off. `token`: come back with a new token, once. `stop`: stay away. */
export type Verdict = "retry" | "token" | "stop";

const CODES: Record<number, readonly [Verdict, string]> = {
  1000: ["stop", "done"],
  1001: ["retry", "the server is going away"],
  1002: ["retry", "protocol error"],
  1003: ["retry", "unsupported data"],
  1005: ["retry", "closed without a reason"],
  1006: ["retry", "connection lost"],
  1007: ["retry", "invalid data"],
  1008: ["retry", "against the server's policy"],
  1009: ["retry", "message too big"],
  1011: ["retry", "internal error of the server"],
  1012: ["retry", "the server restarts"],
  1013: ["retry", "the server is over capacity"],
  4001: ["token", "token missing, invalid or expired"],
  4003: ["stop", "forbidden"],
  4008: ["retry", "heartbeat timeout"],
  4009: ["retry", "too many connections of this user"],
};

/** What to do after a close. Codes that nobody knows are retried: the server may be newer. */
export function verdict(code: number): Verdict {
  return CODES[code]?.[0] ?? "retry";
}

/** A close code in words. */
export function meaning(code: number): string {
  return CODES[code]?.[1] ?? `closed with code ${code}`;
}

/** Something that went wrong, told by the server or found here. */
export class FanfareError extends Error {
  override readonly name = "FanfareError";

  constructor(
    /** A close code (`4001`), an HTTP status (`429`) or the server's own word (`forbidden`). */
    readonly code: string | number,
    message: string,
    /** Whether the client gave up: it stays disconnected until `connect()` is called. */
    readonly terminal: boolean = false,
    /** The server's details, as they came. */
    readonly details: unknown = undefined,
  ) {
    super(message);
  }
}
