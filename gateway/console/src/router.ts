/** Addresses: the path below `/console`, the filters in the query, changed by links. */

import { computed, signal } from "@preact/signals";

const BASE = "/console";

function here(): string {
  const { pathname } = location;
  return pathname.startsWith(BASE) ? pathname.slice(BASE.length) || "/" : "/";
}

/** `/deployments/d1` */
export const path = signal(here());
/** `?status=error&q=shop`, without what is empty. */
export const query = signal(new URLSearchParams(location.search));
/** `L12-L20`, without the sign. */
export const fragment = signal(location.hash.slice(1));

/** `["deployments", "d1"]`, decoded. */
export const segments = computed(() => path.value.split("/").filter(Boolean).map(decode));

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The address of a page, as an `href`. */
export function to(...parts: string[]): string {
  return [BASE, ...parts.map(encodeURIComponent)].join("/");
}

/** The address of a page with filters. */
export function withQuery(href: string, filters: Record<string, string>): string {
  const text = new URLSearchParams(Object.entries(filters).filter(([, value]) => value !== "")).toString();
  return text ? `${href}?${text}` : href;
}

function read(): void {
  path.value = here();
  query.value = new URLSearchParams(location.search);
  fragment.value = location.hash.slice(1);
}

export function go(href: string): void {
  if (href !== location.pathname + location.search + location.hash) history.pushState(null, "", href);
  read();
  scrollTo(0, 0);
  document.querySelector<HTMLElement>("main")?.focus({ preventScroll: true });
}

/** Changes filters of this page: what is chosen is a step back, what is typed replaces. */
export function filter(changes: Record<string, string>, typed = false): void {
  const next = new URLSearchParams(query.peek());
  for (const [key, value] of Object.entries(changes)) value === "" ? next.delete(key) : next.set(key, value);
  const text = next.toString();
  const href = location.pathname + (text ? `?${text}` : "");
  typed ? history.replaceState(null, "", href) : history.pushState(null, "", href);
  read();
}

/** Points at a place in this page, without a step back for each. */
export function point(place: string): void {
  history.replaceState(null, "", location.pathname + location.search + (place ? `#${place}` : ""));
  read();
}

/** Plain clicks on our own links change the page without loading it. */
export function startRouter(): void {
  addEventListener("popstate", read);
  document.addEventListener("click", (event) => {
    const link = (event.target as Element).closest?.("a[href]");
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    const href = link?.getAttribute("href");
    if (!plain || event.defaultPrevented || !href?.startsWith(BASE) || link?.getAttribute("target")) return;
    event.preventDefault();
    go(href);
  });
}
