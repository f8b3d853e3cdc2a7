/** Close codes (contract §5): the one place that decides whether a client comes back. */

/** `retry`: come back with back-off. `token`: come back with a new token, once. `stop`: stay away. */
export type Verdict = "retry" | "token" | "stop";

const WORDS: Record<number, string> = {
  1012: "the server restarts",
  4001: "token missing, invalid or expired",
  4003: "forbidden",
  4009: "too many connections of this user",
};

/** What to do after a close. All but three are retried, also what nobody knows: the server may be newer. */
export function verdict(code: number): Verdict {
  return code === 4001 ? "token" : code === 1000 || code === 4003 ? "stop" : "retry";
}

/** A close code in words. */
export function meaning(code: number): string {
  return WORDS[code] ?? `closed with code ${code}`;
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
