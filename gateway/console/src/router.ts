/** Addresses: one signal with the path below `/console`, changed by links. */

import { computed, signal } from "@preact/signals";

const BASE = "/console";

function here(): string {
  const { pathname } = location;
  return pathname.startsWith(BASE) ? pathname.slice(BASE.length) || "/" : "/";
}

/** `/deployments/d1` */
export const path = signal(here());

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

export function go(href: string): void {
  if (href !== location.pathname) history.pushState(null, "", href);
  path.value = here();
  scrollTo(0, 0);
  document.querySelector<HTMLElement>("main")?.focus({ preventScroll: true });
}

/** Plain clicks on our own links change the page without loading it. */
export function startRouter(): void {
  addEventListener("popstate", () => (path.value = here()));
  document.addEventListener("click", (event) => {
    const link = (event.target as Element).closest?.("a[href]");
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    const href = link?.getAttribute("href");
    if (!plain || event.defaultPrevented || !href?.startsWith(BASE) || link?.getAttribute("target")) return;
    event.preventDefault();
    go(href);
  });
}
