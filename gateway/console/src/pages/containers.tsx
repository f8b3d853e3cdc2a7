/** Containers: the list, and one of them with its log. */

import type { ContainerState } from "fanfare";
import type { JSX } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import { full, plural } from "../format.ts";
import { calm } from "../installation.ts";
import { containers, FAILED } from "../kinds.ts";
import { Log } from "../log/log.ts";
import { LogView } from "../log/log-view.tsx";
import { to } from "../router.ts";
import { Ago, Empty, Heading, Status } from "../ui/bits.tsx";
import { Listing } from "../ui/listing.tsx";
import { Replay, useReplay } from "../ui/replay.tsx";
import { Share } from "../ui/share.tsx";
import { WhyFailed } from "../ui/why-failed.tsx";

export function Containers(): JSX.Element {
  return (
    <Listing
      title="Containers"
      noun={["container"]}
      plan={containers}
      columns={[
        { name: "Container" },
        { name: "Message", wide: true },
        { name: "Lines", right: true, wide: true },
        { name: "Status" },
        { name: "Changed", right: true },
      ]}
      empty={
        <Empty title="No container yet">
          <p>
            Containers write <code>log</code>, <code>status</code>, <code>error</code> and <code>complete</code> on the stream <code>containers</code>.
          </p>
        </Empty>
      }
    >
      {({ id, message, lines, status, updated_at }) => (
        <tr key={id}>
          <th scope="row">
            <a class="cover" href={to("containers", id)}>
              {id}
            </a>
          </th>
          <td class="wide ellipsis">{message ?? "—"}</td>
          <td class="wide number">{lines === undefined ? "–" : full(lines)}</td>
          <td class="fit">
            <Status status={status} />
          </td>
          <td class="when">
            <Ago at={updated_at} />
          </td>
        </tr>
      )}
    </Listing>
  );
}

export function ContainerPage({ id }: { id: string }): JSX.Element {
  const channel = `container:${id}`;
  const log = useMemo(() => new Log(channel), [channel]);
  useEffect(() => () => log.close(), [log]);
  const replay = useReplay(channel);
  const state = (replay.value?.state.value ?? log.state.value) as ContainerState | null;
  const ended = state !== null && ["completed", "failed"].includes(state.status);
  return (
    <>
      <Heading
        back={<a href={to("containers")}>Containers</a>}
        title={id}
        aside={
          <>
            {ended && <Replay replay={replay} channel={channel} />}
            <Share channel={channel} />
          </>
        }
      >
        {state ? (
          <p class="facts">
            <Status status={state.status} />
            <span>{plural(state.lines, "line")}</span>
            {state.exitCode !== undefined && <span>exit code {state.exitCode}</span>}
            {state.message && <span>{state.message}</span>}
          </p>
        ) : (
          <p>{log.loading.value ? "Reading…" : log.error.value || !calm.value ? "What it is at is unknown." : "No event of this container yet."}</p>
        )}
      </Heading>
      {state && FAILED.includes(state.status) && <WhyFailed log={log} state={state} />}
      {replay.value ? replay.value.view(`Replay of ${id}`) : <LogView key={id} log={log} label={`Log of ${id}`} />}
    </>
  );
}
