/** The credential of this page: where it comes from, where it is kept, and what it allows. */

import { computed, signal } from "@preact/signals";

/** What a token of ours says; null for an API key, which says nothing to whoever reads it. */
interface Claims {
  sub?: string;
  user_id?: string;
  exp?: number;
  role?: string | null;
  channels?: string[] | null;
  publish?: string[] | null;
}

export interface Rights {
  /** May do what an API key may. */
  operator: boolean;
  reads(channel: string): boolean;
  publishes(stream: string): boolean;
  /** The channels that are named in full: what a reader of one deployment came for. */
  named: readonly string[];
}

const KEY = "fanfare.token";
/** A token is renewed when less than this part of its life is left. */
const RENEW_PART = 0.5;

export const credential = signal<string | null>(null);
/** Channels that may be read without any credential, as far as this page found out. */
export const open = signal<readonly string[]>([]);

/** The claims of a token, unverified: the server verifies, this page only shows what makes sense. */
export function claimsOf(token: string): Claims | null {
  const parts = token.split(".");
  if (parts.length !== 3) return null;
  try {
    const bytes = Uint8Array.from(atob((parts[1] ?? "").replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)) as Claims;
  } catch {
    return null;
  }
}

/** Patterns as the server has them: a final `*` matches any rest. */
export function matches(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) => (pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : pattern === name));
}

export const rights = computed<Rights>(() => {
  const token = credential.value;
  const claims = token === null ? null : claimsOf(token);
  if (token !== null && claims === null) return { operator: true, reads: () => true, publishes: () => true, named: [] };
  const user = claims?.sub ?? claims?.user_id;
  const patterns = [...(claims ? (claims.channels ?? ["broadcast"]) : []), ...(user ? [`user:${user}`] : []), ...open.value];
  const operator = claims?.role === "admin";
  return {
    operator,
    reads: (channel) => operator || matches(patterns, channel),
    publishes: (stream) => operator || matches(claims?.publish ?? [], stream),
    named: patterns.filter((pattern) => !pattern.endsWith("*") && pattern.includes(":")),
  };
});

/** Takes the token of a share link out of the address. It ends with the tab, and replaces no log-in. */
export function takeShared(): void {
  const shared = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!shared) return;
  sessionStorage.setItem(KEY, shared);
  history.replaceState(null, "", location.pathname + location.search);
}

/** What to use: a token shared with this tab, else what the server gave, else the log-in of this browser. */
export function kept(given: string | null): string | null {
  return [sessionStorage.getItem(KEY), given, localStorage.getItem(KEY)].find((token) => token && !isOver(token)) ?? null;
}

/** Keeps a log-in. A key itself is kept in this tab alone; a token made of it in all tabs. */
export function keep(token: string): void {
  sessionStorage.removeItem(KEY);
  (claimsOf(token) ? localStorage : sessionStorage).setItem(KEY, token);
}

export function forget(): void {
  for (const place of [sessionStorage, localStorage]) place.removeItem(KEY);
}

function isOver(token: string): boolean {
  const end = claimsOf(token)?.exp;
  return end !== undefined && end * 1000 <= Date.now();
}

/** Whether a token of an operator should be renewed by now. */
export function isAging(token: string, lifeMs: number): boolean {
  const claims = claimsOf(token);
  return claims?.role === "admin" && claims.exp !== undefined && claims.exp * 1000 - Date.now() < lifeMs * RENEW_PART;
}
