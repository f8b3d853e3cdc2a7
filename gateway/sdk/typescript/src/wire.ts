/** One attempt at a connection: a WebSocket, or a stream of server-sent events. */

/** The part of the WebSocket interface that is used here; browsers, Node 22, Bun, Deno and `ws` have it. */
export interface WebSocketLike {
  readonly readyState: number;
  send(data: string): void;
  close(code?: number, reason?: string): void;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
}

export type WebSocketConstructor = new (url: string, protocols?: string | string[]) => WebSocketLike;

/** What a wire tells about itself. After `closed` it is silent. */
export interface WireListener<F> {
  opened(wire: Wire): void;
  frame(wire: Wire, frame: F): void;
  /** Any sign of life, also one that carries no frame. */
  alive(wire: Wire): void;
  closed(wire: Wire, code: number, reason: string): void;
}

export interface Wire {
  readonly kind: "websocket" | "sse";
  /** Writes one frame; without effect while not open, and on SSE, which goes one way. */
  send(frame: object): void;
  close(code?: number, reason?: string): void;
}

function parse<F>(text: unknown): F | null {
  try {
    const frame: unknown = JSON.parse(String(text));
    return frame !== null && typeof frame === "object" && !Array.isArray(frame) ? (frame as F) : null;
  } catch {
    return null; // Not ours: a proxy's greeting, say. Silence is right, the connection stays.
  }
}

/** Opens a WebSocket. */
export function openSocket<F>(Socket: WebSocketConstructor, url: string, to: WireListener<F>, protocols?: string[]): Wire {
  const socket = protocols ? new Socket(url, protocols) : new Socket(url);
  let over = false;
  const wire: Wire = {
    kind: "websocket",
    send: (frame) => {
      if (socket.readyState === 1) socket.send(JSON.stringify(frame));
    },
    close: (code = 1000, reason = "") => {
      over = true;
      try {
        socket.close(code, reason);
      } catch {
        socket.close(); // Browsers allow 1000 and 3000 to 4999 only; some allow none before it is open.
      }
    },
  };
  socket.onopen = () => {
    if (!over) to.opened(wire);
  };
  socket.onmessage = (event: { data: unknown }) => {
    if (over) return;
    to.alive(wire);
    const frame = parse<F>(event.data);
    if (frame !== null) to.frame(wire, frame);
  };
  socket.onerror = () => {}; // Always followed by a close, which says more.
  socket.onclose = (event: { code: number; reason: string }) => {
    if (over) return;
    over = true;
    to.closed(wire, event.code, String(event.reason ?? ""));
  };
  return wire;
}

/** What a refused event stream corresponds to among the close codes. */
function closeCodeOf(status: number): number {
  if (status === 401) return 4001;
  if (status === 403) return 4003;
  return status >= 400 && status < 500 && status !== 429 && status !== 408 ? 1008 : 1006;
}

/**
 * Opens a stream of server-sent events with `fetch`, which, unlike `EventSource`, is in Node too
 * and can send headers. `address` is given the wire that it is for.
 */
export function openEvents<F>(fetch: typeof globalThis.fetch, address: (wire: Wire) => string, headers: Record<string, string>, to: WireListener<F>): Wire {
  const abort = new AbortController();
  const close = (code: number, reason: string): void => {
    if (abort.signal.aborted) return;
    abort.abort();
    to.closed(wire, code, reason);
  };
  const wire: Wire = { kind: "sse", send: () => {}, close: () => abort.abort() };
  const url = address(wire);
  const run = async (): Promise<void> => {
    const response = await fetch(url, {
      headers: { accept: "text/event-stream", ...headers },
      signal: abort.signal,
      cache: "no-store",
    });
    if (!response.ok || !response.body) return close(closeCodeOf(response.status), `HTTP ${response.status}`);
    to.opened(wire);
    const reader = response.body.pipeThrough(new TextDecoderStream() as never).getReader() as ReadableStreamDefaultReader<string>;
    const read = dataLines((data) => {
      const frame = parse<F>(data);
      if (frame !== null && !abort.signal.aborted) to.frame(wire, frame);
    });
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      to.alive(wire);
      read(part.value);
    }
    close(1006, "the server ended it");
  };
  run().catch((error: unknown) => close(1006, String(error)));
  return wire;
}

/** Cuts the `data:` of server-sent events out of chunks of text; each of our frames is one line. */
export function dataLines(data: (value: string) => void): (chunk: string) => void {
  let rest = "";
  return (chunk) => {
    const lines = (rest + chunk).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.startsWith("data:")) data(line.slice(5));
  };
}
