/** Light, dark, or as the system has it. */

import { effect, signal } from "@preact/signals";

type Theme = "auto" | "light" | "dark";

const KEY = "fanfare.theme";
const ORDER: Theme[] = ["auto", "dark", "light"];

export const theme = signal<Theme>((localStorage.getItem(KEY) as Theme | null) ?? "auto");

effect(() => {
  document.documentElement.dataset.theme = theme.value;
  localStorage.setItem(KEY, theme.value);
});

export function cycleTheme(): void {
  theme.value = ORDER[(ORDER.indexOf(theme.value) + 1) % ORDER.length] ?? "auto";
}
