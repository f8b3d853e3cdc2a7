/** A page with one table: statuses, words to look for and an order, all in the address and asked of the server. */

import { useSignal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useEffect } from "preact/hooks";
import { plural, sentence } from "../format.ts";
import { calm } from "../installation.ts";
import { type List, type Plan, type Row, useList } from "../list.ts";
import { filter, query } from "../router.ts";
import { Choice, Failure, Heading, Skeleton, Unknown } from "./bits.tsx";

export interface Column {
  name: string;
  /** Left out on a phone. */
  wide?: boolean;
  right?: boolean;
  /** Said, not shown. */
  hidden?: boolean;
}

interface Props<T extends Row> {
  title: string;
  /** One and many: "deployment". */
  noun: [string, string?];
  plan: Plan<T>;
  columns: Column[];
  /** The status that is asked for where the address names none. */
  first?: string;
  empty: JSX.Element;
  /** What stands beside the title. */
  aside?: ComponentChildren;
  children: (row: T, list: List<T>) => JSX.Element;
}

/** Typing is over when nothing was typed for so long. */
const TYPED_MS = 250;

export function Listing<T extends Row>(props: Props<T>): JSX.Element {
  const status = query.value.get("status") ?? props.first ?? "";
  const q = query.value.get("q") ?? "";
  const sort = query.value.get("sort") ?? "";
  const list = useList(props.plan, { status: status === "all" ? "" : status, q, sort });
  const rows = list.rows.value;
  const asked = status !== "" || q !== "";
  const failure = list.failure.value;
  return (
    <>
      <Heading title={props.title} aside={props.aside}>
        <p>
          <Lede list={list} asked={q} noun={props.noun} />
        </p>
      </Heading>
      {failure && <Failure message={failure.message} retry={() => void list.read()} />}
      {list.readAt.value === null && !failure && <Skeleton />}
      <div class="tools">
        <Statuses list={list} status={status || "all"} choose={(value) => filter({ status: value === (props.first ?? "all") ? "" : value })} />
        <div class="tools-end">
          <Words value={q} label="Search ids, titles and projects" />
          <label class="sort">
            <span class="hidden">Order</span>
            <select value={sort || "newest"} onChange={(event) => filter({ sort: event.currentTarget.value === "newest" ? "" : event.currentTarget.value })}>
              <option value="newest">Newest first</option>
              <option value="oldest">Oldest first</option>
            </select>
          </label>
        </div>
      </div>
      {rows.length > 0 ? (
        <table class={failure ? "old" : ""}>
          <thead>
            <tr>
              {props.columns.map(({ name, wide, right, hidden }) => (
                <th scope="col" key={name} class={`${right ? "right" : ""}${wide ? " wide" : ""}`}>
                  {hidden ? <span class="hidden">{name}</span> : name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>{rows.map((row) => props.children(row, list))}</tbody>
        </table>
      ) : (
        <Nothing list={list} asked={asked} empty={props.empty} />
      )}
      {list.next.value !== null && (
        <p class="more">
          <button type="button" onClick={() => void list.more()}>
            Show more
          </button>
          {list.total.value !== null && (
            <span class="quiet">
              {rows.length} of {plural(list.total.value, ...props.noun)}
            </span>
          )}
        </p>
      )}
    </>
  );
}

/** How many there are, or that this is not known. */
function Lede<T extends Row>({ list, asked, noun }: { list: List<T>; asked: string; noun: [string, string?] }): JSX.Element {
  const total = list.total.value;
  if (list.readAt.value === null) return <>{list.failure.value ? "How many there are is unknown." : "Reading…"}</>;
  if (total === null) return <>How many there are is unknown.</>;
  const words = `${plural(total, ...noun)}${asked ? ` with “${asked}”` : ""}`;
  return <>{list.failure.value || !calm.value ? `${words} when it was last read` : words}</>;
}

/** An empty list means that nothing exists only where nothing hinders the view. */
function Nothing<T extends Row>({ list, asked, empty }: { list: List<T>; asked: boolean; empty: JSX.Element }): JSX.Element | null {
  if (list.readAt.value === null && !list.failure.value && calm.value) return null;
  if (list.readAt.value === null || list.failure.value || !calm.value) return <Unknown />;
  return asked ? <p class="quiet">Nothing matches.</p> : empty;
}

function Statuses<T extends Row>({ list, status, choose }: { list: List<T>; status: string; choose: (status: string) => void }): JSX.Element {
  const counts = list.byStatus.value ?? {};
  const names = Object.keys(counts).sort();
  if (status !== "all" && !names.includes(status)) names.unshift(status);
  const whole = list.wanted.status === "" ? (list.total.value ?? undefined) : undefined;
  const options = [["all", "All", whole] as const, ...names.map((name) => [name, sentence(name), counts[name]] as const)];
  return <Choice label="Status" value={status} choose={choose} options={options} />;
}

/** A field for words whose value is in the address. */
export function Words({ value, label, name = "q", hint = "Search" }: { value: string; label: string; name?: string; hint?: string }): JSX.Element {
  const typed = useSignal(value);
  useEffect(() => {
    if (typed.peek().trim() !== value) typed.value = value;
  }, [value, typed]);
  useEffect(() => {
    const words = typed.value.trim();
    if (words === value) return;
    const timer = setTimeout(() => filter({ [name]: words }, true), TYPED_MS);
    return () => clearTimeout(timer);
  }, [typed.value, value, name, typed]);
  return (
    <label class="search">
      <span class="hidden">{label}</span>
      <input type="search" placeholder={hint} value={typed.value} onInput={(event) => (typed.value = event.currentTarget.value)} />
    </label>
  );
}
