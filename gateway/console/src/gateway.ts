/** The gateway that served this page: session, HTTP, and the one live connection. */

import { signal } from "@preact/signals";
import { type Connection, type ConnectionState, Fanfare } from "fanfare";

export type Session = "starting" | "login" | "open";

export const session = signal<Session>("starting");
export const environment = signal("");
export const connectionState = signal<ConnectionState>("disconnected");
export const connection = signal<Connection | null>(null);
/** Round trip on the open socket, ms; null while unknown. */
export const lag = signal<number | null>(null);
/** Why the server is degraded; null when it is not. */
export const degraded = signal<string | null>(null);
/** The server asked to go elsewhere: a change, not a loss. */
export const moving = signal(false);
/** When the next attempt is due, ms since 1970; null when none waits. */
export const nextAttempt = signal<number | null>(null);

/** The server's reasons in words. */
const REASONS: Record<string, string> = { broker: "the broker does not answer", store: "the database does not answer" };

const KEY = "fanfare.token";
const LAG_EVERY_MS = 5000;
let token: string | null = null;

export const client: Fanfare = new Fanfare(location.origin, { getToken });

/** What HTTP answered other than success. */
export class HttpError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly problems: readonly { path: string; message: string }[] = [],
  ) {
    super(message);
  }
}

async function getToken(): Promise<string | null> {
  const answer = await fetch("/console/session", { cache: "no-store" }).catch(() => null);
  const own = answer?.ok ? ((await answer.json()) as { token: string | null; environment?: string }) : null;
  environment.value = own?.environment ?? environment.value;
  return (token = own?.token ?? sessionStorage.getItem(KEY));
}

/** One call of our own HTTP; JSON in, JSON out. */
export async function api<T>(path: string, method: "GET" | "POST" | "DELETE" = "GET", body?: unknown): Promise<T> {
  const headers = new Headers({ accept: "application/json" });
  if (token) headers.set("authorization", `Bearer ${token}`);
  if (body !== undefined) headers.set("content-type", "application/json");
  const init = { method, headers, body: body === undefined ? null : JSON.stringify(body) };
  const response = await fetch(path, init).catch(() => {
    throw new HttpError(0, "The server cannot be reached.");
  });
  const answer = (await response.json().catch(() => ({}))) as Record<string, unknown>;
  if (response.ok) return answer as T;
  const message = String(answer.detail ?? answer.error ?? answer.title ?? `The server answered ${response.status}.`);
  throw new HttpError(response.status, message, (answer.problems ?? []) as { path: string; message: string }[]);
}

/** Text of a path that is no JSON. */
export async function text(path: string): Promise<string> {
  const response = await fetch(path, token ? { headers: { authorization: `Bearer ${token}` } } : {});
  if (!response.ok) throw new HttpError(response.status, `The server answered ${response.status}.`);
  return response.text();
}

/** Is the token in use good for reading? Anything but a refusal counts as yes. */
async function mayRead(): Promise<boolean> {
  return api("/v1/deployments?limit=1").then(
    () => true,
    (error: HttpError) => error.status !== 401 && error.status !== 403,
  );
}

export async function start(): Promise<void> {
  watch();
  await getToken();
  if (await mayRead()) open();
  else session.value = "login";
}

/** Tries a token that somebody typed; false when it is refused. */
export async function login(typed: string): Promise<boolean> {
  token = typed;
  if (!(await mayRead())) return false;
  sessionStorage.setItem(KEY, typed);
  client.setToken(typed);
  open();
  return true;
}

export function logout(): void {
  sessionStorage.removeItem(KEY);
  location.reload();
}

function open(): void {
  client.connect();
  session.value = "open";
}

function watch(): void {
  const measure = async (): Promise<void> => {
    if (document.visibilityState === "visible") lag.value = await client.ping();
  };
  client.on("state", (state) => {
    connectionState.value = state;
    if (state !== "connected") lag.value = connection.value = null;
  });
  client.on("connected", (value) => {
    connection.value = value;
    nextAttempt.value = null;
    void measure();
  });
  client.on("reconnecting", ({ attempt, delay }) => {
    moving.value = attempt === 0;
    nextAttempt.value = Date.now() + delay;
  });
  client.on("status", (status) => {
    const reason = status.reason ?? "";
    degraded.value = status.degraded ? (REASONS[reason] ?? (reason || "a service does not answer")) : null;
  });
  client.on("error", (error) => {
    if (error.terminal && error.code === 4001) session.value = "login";
  });
  setInterval(measure, LAG_EVERY_MS);
}
