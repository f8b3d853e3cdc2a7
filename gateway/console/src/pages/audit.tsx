/** What operators did, and who is kept out. */

import { useSignal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { api } from "../gateway.ts";
import { calm } from "../installation.ts";
import { to } from "../router.ts";
import { Ago, Empty, Failure, Heading, Skeleton, Sure, Unknown } from "../ui/bits.tsx";
import { type Paged, usePaged } from "../ui/paged.ts";
import { CutOff } from "./connections.tsx";

interface Act {
  at: number;
  who: string | null;
  action: string;
  target: string | null;
  node: string | null;
  details: unknown;
}

export function Audit(): JSX.Element {
  const paged = usePaged<Act>("/v1/audit?limit=100", "audit");
  return (
    <>
      <Heading title="Audit">
        <p>Who cut off, denied, redrove, dropped, erased, acknowledged and cancelled.</p>
      </Heading>
      <Pages paged={paged} what="What operators did" empty={<Empty title="No operator did anything yet" />}>
        {(rows) => (
          <table>
            <thead>
              <tr>
                <th scope="col">Action</th>
                <th scope="col">Who</th>
                <th scope="col" class="wide">
                  Node
                </th>
                <th scope="col" class="right">
                  When
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.map((act, index) => (
                <tr key={`${act.at} ${index}`}>
                  <th scope="row">
                    {act.action} {act.target && <span class="mono">{act.target}</span>}
                    {hasDetails(act.details) && <span class="sub mono">{JSON.stringify(act.details)}</span>}
                  </th>
                  <td>{act.who ?? <span class="muted">anonymous</span>}</td>
                  <td class="wide mono">{act.node ?? "–"}</td>
                  <td class="when">
                    <Ago at={act.at} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Pages>
    </>
  );
}

const hasDetails = (details: unknown): boolean => details !== null && details !== undefined && JSON.stringify(details) !== "{}";

interface Denial {
  user: string;
  until: number;
}

const DAY_MS = 24 * 3_600_000;

export function Denied(): JSX.Element {
  const paged = usePaged<Denial>("/v1/denied", "denied");
  const user = useSignal("");
  return (
    <>
      <Heading title="Denied users">
        <p>Who is kept out, whatever token they bring.</p>
      </Heading>
      <div class="tools">
        <label class="search">
          <span class="hidden">User to deny</span>
          <input placeholder="User" value={user.value} spellcheck={false} autocomplete="off" onInput={(event) => (user.value = event.currentTarget.value)} />
        </label>
        {user.value.trim() && <CutOff key={user.value.trim()} user={user.value.trim()} denyMs={DAY_MS} />}
      </div>
      <Pages paged={paged} what="Who is kept out" empty={<Empty title="No user is denied" />}>
        {(rows) => (
          <table>
            <thead>
              <tr>
                <th scope="col">User</th>
                <th scope="col" class="right">
                  Until
                </th>
                <th scope="col">
                  <span class="hidden">Admit</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.map(({ user, until }) => (
                <tr key={user}>
                  <th scope="row">
                    <a href={to("users", user)}>{user}</a>
                  </th>
                  <td class="when">{new Date(until).toLocaleString()}</td>
                  <td class="act">
                    <Sure question="Really?" act={() => api(`/v1/denied/${encodeURIComponent(user)}`, "DELETE").then(() => (void paged.read(), "admitted"))}>
                      Admit<span class="hidden"> {user}</span>
                    </Sure>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Pages>
    </>
  );
}

interface PagesProps<T> {
  paged: Paged<T>;
  what: string;
  empty: JSX.Element;
  children: (rows: readonly T[]) => ComponentChildren;
}

/** Rows as far as they are known, and what is to be said where they are not. */
export function Pages<T>({ paged, what, empty, children }: PagesProps<T>): JSX.Element {
  const rows = paged.rows.value;
  const failure = paged.failure.value;
  return (
    <>
      {failure &&
        (failure.status === 404 ? <p class="note">This server does not tell.</p> : <Failure message={failure.message} retry={() => void paged.read()} />)}
      {rows === null && !failure && <Skeleton />}
      {(rows === null || rows.length === 0) && (failure || (rows !== null && !calm.value)) && <Unknown what={what} />}
      {rows?.length === 0 && !failure && calm.value && empty}
      {rows !== null && rows.length > 0 && children(rows)}
      {paged.next.value !== null && (
        <p class="more">
          <button type="button" onClick={() => void paged.read(paged.next.value)}>
            Show more
          </button>
        </p>
      )}
    </>
  );
}
