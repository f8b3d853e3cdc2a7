/** Why a run failed, above everything else: what its state says, and the last line that tells of a failure. */

import type { Json } from "fanfare";
import type { JSX } from "preact";
import { plain } from "../log/ansi.ts";
import { isError, type Line, placeOf } from "../log/lines.ts";
import type { Log } from "../log/log.ts";
import { point } from "../router.ts";
import { Dot } from "./bits.tsx";

const WORDS: Record<string, string> = {
  abandoned: "Nothing was heard of it any more, so it was given up.",
  expired: "It was not begun in time.",
  lost: "The agent that worked on it was lost.",
  timeout: "It took too long.",
  rejected: "Every agent that could have done it rejected it.",
  dependency: "Something that it depends on did not complete.",
  cycle: "It depends on itself.",
  too_large: "Its result was too large.",
};

export function WhyFailed({ log, state }: { log: Log; state: object }): JSX.Element {
  const said = reasonOf(state as Json);
  const line = (log.version.value, log.rows.findLast((row): row is Line => row.kind === "line" && isError(row) && plain(row.text) !== said));
  return (
    <section class="why" aria-label="Why it failed">
      <Dot tone="bad" />
      <div>
        <p>{said ?? "It failed without saying why."}</p>
        {line && (
          <p>
            <button type="button" class="link mono" onClick={() => point(`L${placeOf(line)}`)}>
              {plain(line.text).slice(0, 300)}
            </button>
          </p>
        )}
      </div>
    </section>
  );
}

/** What the state says about the failure. */
function reasonOf(state: Json): string | null {
  const result = state.result as Json | null | undefined;
  for (const said of [state.error, result?.error, state.reason, state.message, result?.message]) {
    if (typeof said === "string" && said !== "") return WORDS[said] ?? said;
  }
  return WORDS[String(state.status)] ?? null;
}
