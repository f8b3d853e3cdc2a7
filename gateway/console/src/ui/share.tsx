/** A link for a colleague: to this page, and where it is needed with a token that reads this one channel. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { rights } from "../credential.ts";
import { api, environment } from "../gateway.ts";

const LIFE_MS = 24 * 3_600_000;

export function Share({ channel }: { channel: string }): JSX.Element {
  const said = useSignal("");
  const link = useSignal("");
  const share = async (): Promise<void> => {
    const address = new URL(location.href);
    try {
      if (rights.peek().operator && environment.peek() !== "development") {
        const body = { sub: `link-${crypto.randomUUID().slice(0, 8)}`, channels: [channel], ttl_ms: LIFE_MS };
        const { token } = await api<{ token: string }>("/v1/tokens", "POST", body);
        address.hash = `token=${token}`;
      }
      link.value = address.href;
      await navigator.clipboard?.writeText(address.href).catch(() => {});
      said.value = address.hash.startsWith("#token=") ? "Copied: reads this one for 24 h" : "Copied";
    } catch (error) {
      said.value = (error as Error).message;
    }
  };
  return (
    <>
      <button type="button" onClick={() => void share()}>
        Share
      </button>
      {said.value && (
        <span class="shared" role="status">
          <span class="muted">{said.value}</span>
          {link.value && <input readOnly aria-label="Link" class="mono" value={link.value} onFocus={(event) => event.currentTarget.select()} />}
        </span>
      )}
    </>
  );
}
