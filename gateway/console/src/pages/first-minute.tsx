/** What an empty installation shows: a demo that starts here, and commands that work as they stand. */

import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { playDemo } from "../demo.ts";
import { plural } from "../format.ts";
import { environment, xadd } from "../gateway.ts";
import { Copyable, Failure } from "../ui/bits.tsx";

const playing = signal<AbortController | null>(null);
const published = signal(0);
const failure = signal("");

async function start(): Promise<void> {
  const stop = new AbortController();
  playing.value = stop;
  published.value = 0;
  failure.value = "";
  await playDemo(stop.signal, (events) => (published.value += events)).catch((error: Error) => (failure.value = error.message));
  playing.value = null;
}

/** `XADD` where an address takes it, else the same by HTTP. */
export function firstCommand(): string {
  const data = JSON.stringify({ status: "building", progress: 50, stage: "Building project" });
  const at = xadd.value;
  if (at) return `redis-cli -h ${location.hostname} -p ${at.port} XADD ${at.key_prefix}:deployments '*' type deployment_update id deploy-123 data '${data}'`;
  const body = `{"stream":"deployments","type":"deployment_update","id":"deploy-123","data":${data}}`;
  const credential = environment.value === "development" ? "" : " -H 'Authorization: Bearer YOUR-KEY'";
  return `curl ${location.origin}/v1/publish -H 'Content-Type: application/json'${credential} -d '${body}'`;
}

export function FirstMinute(): JSX.Element {
  return (
    <section class="first-minute" aria-labelledby="first-minute">
      <h2 id="first-minute">Begin here</h2>
      <p>Nothing was published yet. Play a demo into this installation, or publish a first event.</p>
      <DemoButton />
      <Copyable text={firstCommand()} label="Command that publishes" />
      <Copyable text={`fanfare watch deployment:deploy-123 --url ${location.origin}`} label="Command that follows" />
    </section>
  );
}

export function DemoButton(): JSX.Element {
  return (
    <>
      <p class="buttons">
        {playing.value ? (
          <button type="button" onClick={() => playing.value?.abort()}>
            Stop the demo
          </button>
        ) : (
          <button type="button" class="primary" onClick={() => void start()}>
            Start a demo
          </button>
        )}
        {published.value > 0 && <span class="quiet">{plural(published.value, "event")} published</span>}
      </p>
      {failure.value && <Failure message={failure.value} />}
    </>
  );
}
