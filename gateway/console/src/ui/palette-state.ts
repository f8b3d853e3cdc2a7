/** Whether the box for everything is open. */

import { signal } from "@preact/signals";

export const paletteOpen = signal(false);

export function showPalette(): void {
  paletteOpen.value = true;
}
