/** Keys of a page, while nothing is typed into a field. */

import { useEffect, useRef } from "preact/hooks";

/** Whether a key belongs to where it was pressed: a field, or a button that space presses. */
export function isTyping(event: KeyboardEvent): boolean {
  const { tagName } = event.target as HTMLElement;
  return /^(INPUT|TEXTAREA|SELECT)$/.test(tagName) || (event.key === " " && /^(BUTTON|SUMMARY)$/.test(tagName));
}

export function useKeys(keys: Record<string, () => void>): void {
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      const run = latest.current[event.key];
      if (!run || isTyping(event) || event.metaKey || event.ctrlKey || event.altKey) return;
      event.preventDefault();
      run();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
}
