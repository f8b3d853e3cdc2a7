/** Plots over time, drawn as SVG paths: axes, a value under the pointer and the arrow keys, holes where nothing is known. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { decimal, time } from "../format.ts";

export interface Series {
  name: string;
  /** One for each time; null is a hole in the line. */
  values: readonly (number | null)[];
}

interface Props {
  /** Ms since 1970, rising. */
  times: readonly number[];
  series: readonly [Series] | readonly [Series, Series];
  /** What one unit is: "/s". */
  unit: string;
  label: string;
  show?: (value: number) => string;
}

const WIDTH = 900;
const HEIGHT = 160;

/** The next round number above the peak, so that the scale does not twitch. */
export function ceiling(peak: number): number {
  if (peak <= 1) return 1;
  const magnitude = 10 ** Math.floor(Math.log10(peak));
  return ([1, 2, 2.5, 5, 10].find((step) => step * magnitude >= peak) ?? 10) * magnitude;
}

export function Chart({ times, series, unit, label, show = decimal }: Props): JSX.Element {
  const at = useSignal<number | null>(null);
  const [begin, end] = [times[0] ?? 0, times.at(-1) ?? 0];
  const values = series.flatMap((one) => one.values.filter((value): value is number => value !== null));
  const top = ceiling(Math.max(0, ...values));
  const x = (time: number): number => (end > begin ? ((time - begin) / (end - begin)) * WIDTH : WIDTH);
  const y = (value: number): number => HEIGHT - 1 - (value / top) * (HEIGHT - 8);
  const line = (one: Series): string => {
    let pen = "M";
    return one.values
      .map((value, index) => {
        if (value === null) return ((pen = "M"), "");
        const part = `${pen}${x(times[index] ?? 0).toFixed(1)} ${y(value).toFixed(1)}`;
        pen = "L";
        return part;
      })
      .join("");
  };
  const pointed = (event: PointerEvent): void => {
    const { left, width } = (event.currentTarget as Element).getBoundingClientRect();
    const wanted = begin + ((event.clientX - left) / width) * (end - begin);
    const [nearest] = times.map((time, index) => [Math.abs(time - wanted), index] as const).sort(([a], [b]) => a - b);
    at.value = nearest?.[1] ?? null;
  };
  const pressed = (event: KeyboardEvent): void => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) at.value = Math.min(times.length - 1, Math.max(0, (at.value ?? times.length - 1) + step));
  };
  const index = at.value === null || at.value >= times.length ? null : at.value;
  const chosen = index === null ? null : (times[index] ?? null);
  const written = (of: number): string =>
    series.map(({ name, values }) => `${name} ${values[of] === null || values[of] === undefined ? "unknown" : show(values[of])}${unit}`).join(", ");
  const summary = times.length > 0 ? `${label}: ${written(index ?? times.length - 1)}` : `${label}: nothing measured yet`;
  return (
    <figure class="chart">
      <div class="plot" tabIndex={0} role="img" aria-label={summary} onPointerMove={pointed} onPointerLeave={() => (at.value = null)} onKeyDown={pressed}>
        <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
          {[0, 0.5, 1].map((part) => (
            <line key={part} class="grid" x1="0" x2={WIDTH} y1={y(part * top)} y2={y(part * top)} />
          ))}
          {series.map((one, order) => (
            <path key={one.name} class={order === 0 ? "first" : "second"} d={line(one)} />
          ))}
          {chosen !== null && <line class="pointer" x1={x(chosen)} x2={x(chosen)} y1="0" y2={HEIGHT} />}
        </svg>
        <span class="scale">
          {show(top)}
          {unit}
        </span>
        <span class="scale middle">{show(top / 2)}</span>
        {times.length === 0 && <span class="unmeasured">nothing measured yet</span>}
      </div>
      <figcaption>
        {series.map(({ name }, order) => (
          <span key={name} class={`key ${order === 0 ? "first" : "second"}`}>
            {name}
          </span>
        ))}
        <span class="span" role="status">
          {chosen !== null && index !== null ? `${time(chosen)} · ${written(index)}` : times.length > 1 ? `${time(begin)} – ${time(end)}` : ""}
        </span>
      </figcaption>
    </figure>
  );
}
