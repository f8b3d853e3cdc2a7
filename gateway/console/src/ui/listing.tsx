/** A page with one table: filters, words to look for, and what to show when there is nothing. */

import { useSignal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import type { Collection, Row } from "../collection.ts";
import { Choice, Failure, Heading, Skeleton } from "./bits.tsx";

interface Props<T extends Row, F extends string> {
  title: string;
  lede: (rows: T[]) => ComponentChildren;
  collection: Collection<T>;
  filters: Record<F, (row: T) => boolean>;
  names: Record<F, string>;
  /** The text of a row that is searched. */
  words: (row: T) => string;
  columns: string[];
  empty: JSX.Element;
  children: (row: T) => JSX.Element;
  first?: F;
}

const AT_ONCE = 100;
/** Columns whose cells stand at the right. */
const RIGHT = new Set(["Changed", "Last seen", "Checked", "Raised", "Acknowledge"]);

export function Listing<T extends Row, F extends string>(props: Props<T, F>): JSX.Element {
  const { collection, filters, names } = props;
  const keys = Object.keys(filters) as F[];
  const filter = useSignal<F>(props.first ?? (keys[0] as F));
  const wanted = useSignal("");
  const limit = useSignal(AT_ONCE);
  const all = collection.rows.value;
  const low = wanted.value.trim().toLowerCase();
  const rows = all.filter((row) => filters[filter.value](row) && (!low || props.words(row).toLowerCase().includes(low)));
  const more = async (): Promise<void> => {
    limit.value += AT_ONCE;
    if (limit.value > rows.length) await collection.more();
  };
  return (
    <>
      <Heading title={props.title}>
        <p>{collection.phase.value === "live" ? (all.length > 0 ? props.lede(all) : "None yet") : collection.phase.value === "loading" ? "Reading…" : ""}</p>
      </Heading>
      {collection.phase.value === "failed" && <Failure message={collection.error.value} retry={() => collection.retry()} />}
      {collection.phase.value === "loading" && <Skeleton />}
      {collection.phase.value === "live" && all.length === 0 && props.empty}
      {all.length > 0 && (
        <>
          <div class="tools">
            <Choice
              label="Show"
              value={filter.value}
              choose={(value) => (filter.value = value)}
              options={keys.map((key) => [key, names[key], all.filter(filters[key]).length] as const)}
            />
            <label class="search">
              <span class="hidden">Filter by words</span>
              <input type="search" placeholder="Filter" value={wanted.value} onInput={(event) => (wanted.value = event.currentTarget.value)} />
            </label>
          </div>
          {rows.length === 0 ? (
            <p class="quiet">Nothing matches.</p>
          ) : (
            <table>
              <thead>
                <tr>
                  {props.columns.map((column) => (
                    <th scope="col" key={column} class={RIGHT.has(column) ? "right" : ""}>
                      {column === "Acknowledge" ? <span class="hidden">{column}</span> : column}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>{rows.slice(0, limit.value).map(props.children)}</tbody>
            </table>
          )}
          {(rows.length > limit.value || collection.next.value) && (
            <p class="more">
              <button type="button" onClick={() => void more()}>
                Show more
              </button>
            </p>
          )}
        </>
      )}
    </>
  );
}
