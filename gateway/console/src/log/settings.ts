/** How logs are shown, kept for the next visit. */

import { effect, signal } from "@preact/signals";
import type { Zone } from "../format.ts";

interface LogSettings {
  wrap: boolean;
  zone: Zone;
}

const KEY = "fanfare.log";

function kept(): LogSettings {
  const before: LogSettings = { wrap: false, zone: "local" };
  try {
    return { ...before, ...(JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<LogSettings>) };
  } catch {
    return before;
  }
}

export const settings = signal<LogSettings>(kept());

effect(() => localStorage.setItem(KEY, JSON.stringify(settings.value)));

export function change(changes: Partial<LogSettings>): void {
  settings.value = { ...settings.value, ...changes };
}
