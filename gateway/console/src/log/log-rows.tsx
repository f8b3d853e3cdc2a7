/** The rows of a log in a box that scrolls: what is in sight is in the page, and a hole in sight is filled. */

import { type Signal, useSignal } from "@preact/signals";
import type { JSX, RefObject } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { fragment, point } from "../router.ts";
import { layout } from "./layout.ts";
import { type Hole, isIn, type Line, type LogRow, rangeOf } from "./lines.ts";
import { GapRow, HoleRow, LineRow } from "./log-row.tsx";
import { settings } from "./settings.ts";

/** What is shown: a log, its hits, or a replay. */
export interface Source {
  rows: readonly LogRow[];
  version: Signal<number>;
  longest: number;
  /** Reads a part of a hole. */
  fill?: (hole: Hole, where: "end" | "start" | number) => Promise<void>;
  /** Told which rows are in sight. */
  see?: (first: number, last: number) => void;
}

export interface Place {
  event: number;
  part: number;
}

interface Props {
  source: Source;
  box: RefObject<HTMLDivElement>;
  label: string;
  /** The line that is to be brought into sight, until it is. */
  target: Signal<Place | null>;
  /** The newest row is kept in sight. */
  following: Signal<boolean>;
  /** Only so many rows, while the rest waits. */
  limit: number | null;
  start: number;
  pattern: RegExp | null;
  /** The line that is the hit of now. */
  chosen: Line | null;
  empty: string;
}

const OVERSCAN_PX = 105;
/** A hole is filled when the sight has rested for so long. */
const REST_MS = 60;

export function LogRows(props: Props): JSX.Element {
  const { source, box, following, limit, target } = props;
  const top = useSignal(0);
  const height = useSignal(600);
  const columns = useSignal(0);
  const unfolded = useSignal<ReadonlySet<LogRow>>(new Set());
  const anchor = useRef<{ row: LogRow; offset: number } | null>(null);
  const version = source.version.value;
  const { wrap, zone } = settings.value;
  const wrapped = wrap ? columns.value : 0;
  const total = limit === null ? source.rows.length : Math.min(limit, source.rows.length);
  const { tops, at } = useMemo(
    () => layout(limit === null ? source.rows : source.rows.slice(0, limit), wrapped, unfolded.value),
    [source, version, total, wrapped, unfolded.value],
  );
  const whole = tops[total] ?? 0;
  const atEnd = following.value && limit === null;
  // At the end the place is known before the browser has scrolled there: no frame is blank.
  const from = atEnd ? Math.max(0, whole - height.value) : Math.min(top.value, Math.max(0, whole - height.value));
  const first = at(Math.max(0, from - OVERSCAN_PX));
  const last = total === 0 ? -1 : at(from + height.value + OVERSCAN_PX);
  const firstHole = useMemo(() => source.rows.findIndex(({ kind }) => kind !== "line"), [source, version]);
  const range = rangeOf(fragment.value);
  // A row that leaves the sight gives its element to one that comes: none is made while scrolling.
  const slots = Math.ceil((last - first + 1) / 16) * 16;

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const place = target.value;
    const aim = place ? source.rows.findIndex((row) => row.kind !== "gap" && isAt(row, place)) : -1;
    if (place && aim >= 0) {
      target.value = anchor.current = null;
      element.scrollTop = top.value = Math.max(0, (tops[aim] ?? 0) - element.clientHeight / 2);
    } else if (atEnd) element.scrollTop = element.scrollHeight;
    else if (anchor.current) {
      // What was in sight stays there, whatever was read above it.
      const index = source.rows.indexOf(anchor.current.row);
      const wanted = (tops[index] ?? 0) + anchor.current.offset;
      if (index >= 0 && Math.abs(element.scrollTop - wanted) > 1) element.scrollTop = top.value = wanted;
    }
  }, [source, tops, atEnd, target.value]);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const measure = (): void => {
      height.value = element.clientHeight;
      const ruler = element.querySelector<HTMLElement>(".log-ruler");
      const gutter = element.querySelector<HTMLElement>(".text")?.offsetLeft ?? 180;
      if (ruler) columns.value = Math.max(20, Math.floor((element.clientWidth - gutter - 24) / (ruler.offsetWidth / 100)));
    };
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    measure();
    return () => observer.disconnect();
  }, [box, height, columns, wrap, zone, total > 0]);
  useEffect(() => {
    source.see?.(first, last);
    const seen = [at(from), at(from + height.value - 1)] as const;
    const hole = source.rows.slice(seen[0], seen[1] + 1).find((row): row is Hole => row.kind === "hole" && !row.failure);
    if (!hole || total === 0) return;
    const index = source.rows.indexOf(hole);
    const [begin, end] = [tops[index] ?? 0, tops[index + 1] ?? 0];
    const middle = (from + height.value / 2 - begin) / (end - begin);
    const where = end <= from + height.value ? "end" : begin >= from ? "start" : Math.round(hole.from + middle * (hole.to - hole.from));
    const timer = setTimeout(() => void source.fill?.(hole, where), REST_MS);
    return () => clearTimeout(timer);
  });

  useEffect(() => box.current?.addEventListener("click", choose), [box]);

  const scrolled = (): void => {
    const element = box.current;
    if (!element) return;
    top.value = element.scrollTop;
    const end = element.scrollHeight - element.scrollTop - element.clientHeight < 21;
    if (end !== following.peek()) following.value = end;
    let index = at(element.scrollTop);
    while (index < total && source.rows[index]?.kind === "hole") index++;
    const row = source.rows[index];
    const isInSight = (tops[index] ?? 0) < element.scrollTop + element.clientHeight;
    anchor.current = row && isInSight ? { row, offset: element.scrollTop - (tops[index] ?? 0) } : null;
  };
  const unfold = (row: LogRow): void => {
    const next = new Set(unfolded.value);
    if (!next.delete(row)) next.add(row);
    unfolded.value = next;
  };

  const digits = Math.min(7, String(labelOf(source.rows, total - 1, firstHole)).length);
  return (
    <div
      ref={box}
      class={`log-rows digits-${digits}${wrap ? " wrapped" : ""}`}
      role="log"
      aria-live="off"
      aria-label={props.label}
      tabIndex={0}
      onScroll={scrolled}
    >
      <span class="log-ruler" aria-hidden="true" />
      {total === 0 && <p class="log-empty">{props.empty}</p>}
      <div class="log-all" style={{ height: `${whole}px`, width: wrap ? "100%" : `calc(${source.longest}ch + 16rem)` }}>
        <ol style={{ transform: `translateY(${tops[first] ?? 0}px)` }}>
          {source.rows.slice(first, last + 1).map((row, offset) => {
            const index = first + offset;
            const px = (tops[index + 1] ?? 0) - (tops[index] ?? 0);
            if (row.kind === "gap") return <GapRow key={`gap ${index}`} gap={row} />;
            if (row.kind === "hole") return <HoleRow key={`hole ${row.from}`} hole={row} height={px} retry={() => void source.fill?.(row, "end")} />;
            return (
              <LineRow
                key={index % slots}
                line={row}
                label={labelOf(source.rows, index, firstHole)}
                zone={zone}
                start={props.start}
                height={px}
                columns={wrapped}
                unfolded={unfolded.value.has(row)}
                chosen={row === props.chosen || (props.chosen !== null && row.event === props.chosen.event && row.part === props.chosen.part)}
                marked={isIn(range, row)}
                pattern={props.pattern}
                unfold={() => unfold(row)}
              />
            );
          })}
        </ol>
      </div>
    </div>
  );
}

/** A click on a number points at its line, with shift at all lines from the one before. One listener, however many rows. */
function choose(event: MouseEvent): void {
  const place = (event.target as HTMLElement).dataset.place;
  if (place === undefined) return;
  const begin = event.shiftKey ? /^L[\d.]+/.exec(fragment.peek())?.[0] : undefined;
  point(begin ? `${begin}-L${place}` : `L${place}`);
}

/** Whether a row is the one of a place, or the first behind it. */
function isAt(row: Line | Hole, { event, part }: Place): boolean {
  return row.kind === "hole" ? row.to >= event : row.event > event || (row.event === event && row.part >= part);
}

/** The number of a line, where all before it are here; else that of its event, with a sign that says so. */
function labelOf(rows: readonly LogRow[], index: number, firstHole: number): string {
  if (firstHole < 0 || index < firstHole) return String(index + 1);
  const row = rows[index];
  return row?.kind === "line" ? `#${row.event}` : "";
}
