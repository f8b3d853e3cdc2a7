/** The gateway that served this page: session, HTTP, and the one live connection. */

import { signal } from "@preact/signals";
import { type Connection, type ConnectionState, Fanfare } from "fanfare";
import { claimsOf, credential, forget, isAging, keep, kept, open, rights, takeShared } from "./credential.ts";

export type Session = "starting" | "login" | "open";

export const session = signal<Session>("starting");
/** `development` or `production`; empty while unknown. */
export const environment = signal("");
/** Where Redis clients may `XADD`; null where this server takes none. */
export const xadd = signal<{ port: number; key_prefix: string } | null>(null);
export const connectionState = signal<ConnectionState>("disconnected");
export const connection = signal<Connection | null>(null);
/** Since when there is no connection, ms since 1970; null while there is one. */
export const lostSince = signal<number | null>(null);
/** Round trip on the open socket, ms; null while unknown. */
export const lag = signal<number | null>(null);
/** What does not answer behind the server: `broker`, `store`, `both`; null when nothing is said to be missing. */
export const degraded = signal<string | null>(null);
/** The server asked to go elsewhere: a change, not a loss. */
export const moving = signal(false);
/** When the next attempt is due, ms since 1970; null when none waits. */
export const nextAttempt = signal<number | null>(null);

const LAG_EVERY_MS = 5000;
/** A call that is not answered by then counts as unanswered. */
const CALL_MS = 20_000;
/** A log-in with a key becomes a token that is good for so long. */
const LOGIN_MS = 24 * 3_600_000;

/** Another one takes its place before anything was subscribed where the credential is one that no socket takes. */
export let client: Fanfare = new Fanfare(location.origin, { getToken });

/** What HTTP answered other than success; status 0 where nothing was answered. */
export class HttpError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly body: Record<string, unknown> = {},
  ) {
    super(message);
  }

  get problems(): readonly { path: string; message: string }[] {
    return (this.body.problems ?? []) as { path: string; message: string }[];
  }
}

interface OwnSession {
  token: string | null;
  environment?: string;
  xadd?: { port: number; key_prefix: string } | null;
}

async function getToken(): Promise<string | null> {
  const answer = await fetch("/console/session", { cache: "no-store", signal: AbortSignal.timeout(CALL_MS) }).catch(() => null);
  const own = answer?.ok ? ((await answer.json()) as OwnSession) : null;
  environment.value = own?.environment ?? environment.value;
  xadd.value = own?.xadd ?? xadd.value;
  const before = kept(own?.token ?? null);
  credential.value = before;
  if (before && before !== own?.token && isAging(before, LOGIN_MS)) await exchange().then(keep, () => {});
  return credential.value;
}

/** A fresh token for the credential in use, which may be a key: sockets of browsers take none. */
async function exchange(): Promise<string> {
  const body = { sub: "console", channels: ["*"], publish: ["*"], role: "admin", ttl_ms: LOGIN_MS };
  const { token } = await api<{ token: string }>("/v1/tokens", "POST", body);
  return (credential.value = token);
}

export type Method = "GET" | "POST" | "DELETE";

/** One call of our own HTTP; JSON in, JSON out. */
export async function api<T>(path: string, method: Method = "GET", body?: unknown, timeoutMs: number = CALL_MS): Promise<T> {
  const headers = new Headers({ accept: "application/json" });
  if (credential.peek()) headers.set("authorization", `Bearer ${credential.peek()}`);
  if (body !== undefined) headers.set("content-type", "application/json");
  const init = { method, headers, body: body === undefined ? null : JSON.stringify(body), signal: AbortSignal.timeout(timeoutMs) };
  const response = await fetch(path, init).catch((error: Error) => {
    throw new HttpError(0, error.name === "TimeoutError" ? "The server does not answer." : "The server cannot be reached.");
  });
  const answer = (await response.json().catch(() => ({}))) as Record<string, unknown>;
  if (response.ok) return answer as T;
  const message = String(answer.detail ?? answer.error ?? answer.title ?? `The server answered ${response.status}.`);
  throw new HttpError(response.status, message, answer);
}

/** Whether the credential in use is good for anything. Anything but a refusal counts as yes. */
async function isAdmitted(): Promise<boolean> {
  const [named] = rights.peek().named;
  const path = named && !rights.peek().reads("deployments") ? `/v1/channels/${encodeURIComponent(named)}` : "/v1/deployments?limit=1";
  const limited = credential.peek() !== null && claimsOf(credential.peek() ?? "") !== null;
  return api(path).then(
    () => true,
    ({ status }: HttpError) => status !== 401 && (status !== 403 || (limited && !named)),
  );
}

/** Whether the page in the address may be read without a credential: then it is all that is shown. */
async function isOpen(channel: string | null): Promise<boolean> {
  if (channel === null || credential.peek() !== null) return false;
  const found = await api(`/v1/channels/${encodeURIComponent(channel)}`).then(
    () => true,
    () => false,
  );
  if (found) open.value = [channel];
  return found;
}

/** Begins; `channel` is what the address asks for, if it is about one. */
export async function start(channel: string | null): Promise<void> {
  takeShared();
  await getToken();
  if ((await isAdmitted()) || (await isOpen(channel))) enter();
  else session.value = "login";
}

/** Tries a token or a key that was typed; false when it is refused. */
export async function login(typed: string): Promise<boolean> {
  credential.value = typed;
  if (!(await isAdmitted())) {
    credential.value = null;
    return false;
  }
  if (!claimsOf(typed)) await exchange().catch(() => {});
  keep(credential.value ?? typed);
  client.setToken(credential.value);
  enter();
  return true;
}

export function logout(): void {
  forget();
  location.assign("/console");
}

function enter(): void {
  const token = credential.peek();
  // Where no secret signs tokens a key is used as it is: HTTP and event streams take it, sockets do not.
  if (token !== null && !claimsOf(token)) client = new Fanfare(location.origin, { getToken, transport: "sse" });
  watch();
  client.connect();
  session.value = "open";
}

function watch(): void {
  const measure = async (): Promise<void> => {
    if (document.visibilityState === "visible") lag.value = await client.ping();
  };
  lostSince.value = Date.now();
  client.on("state", (state) => {
    connectionState.value = state;
    if (state === "connected") lostSince.value = null;
    else {
      lag.value = connection.value = null;
      lostSince.value ??= Date.now();
    }
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
  client.on("status", (status) => (degraded.value = status.degraded ? (status.reason ?? "a service") : null));
  client.on("error", (error) => {
    if (error.terminal && error.code === 4001) session.value = "login";
  });
  setInterval(measure, LAG_EVERY_MS);
}
