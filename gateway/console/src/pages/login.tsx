/** The door, where the server does not open by itself. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { login } from "../gateway.ts";
import { Mark } from "../ui/bits.tsx";

export function Login(): JSX.Element {
  const token = useSignal("");
  const state = useSignal<"idle" | "busy" | "refused">("idle");
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (!token.value.trim()) return;
    state.value = "busy";
    state.value = (await login(token.value.trim())) ? "idle" : "refused";
  };
  return (
    <main class="login">
      <form onSubmit={(event) => void submit(event)}>
        <Mark />
        <h1>Fanfare</h1>
        <label>
          <span>Token or API key</span>
          <input
            type="password"
            autocomplete="current-password"
            autofocus
            value={token.value}
            aria-invalid={state.value === "refused"}
            aria-describedby="login-help"
            onInput={(event) => {
              token.value = event.currentTarget.value;
              state.value = "idle";
            }}
          />
        </label>
        <p id="login-help" role="status" class={state.value === "refused" ? "bad" : "muted"}>
          {state.value === "refused" ? (
            "The server refused it: wrong, expired, or without the right to read."
          ) : (
            <>
              Make one with <code>fanfare token --sub YOU --role admin</code>. Other tabs of this browser are logged in as well.
            </>
          )}
        </p>
        <button type="submit" class="primary" disabled={state.value === "busy"}>
          Enter
        </button>
      </form>
    </main>
  );
}
