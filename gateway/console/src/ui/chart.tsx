/** The live chart of the overview: two series over the last three minutes, drawn as SVG paths. */

import type { JSX } from "preact";
import { decimal } from "../format.ts";
import type { Point } from "../metrics.ts";

const WIDTH = 900;
const HEIGHT = 160;
const SLOTS = 90;

/** The next round number above the peak, so that the scale does not twitch. */
function ceiling(peak: number): number {
  if (peak <= 1) return 1;
  const magnitude = 10 ** Math.floor(Math.log10(peak));
  return ([1, 2, 2.5, 5, 10].find((step) => step * magnitude >= peak) ?? 10) * magnitude;
}

function line(values: readonly number[], top: number): string {
  const from = SLOTS - values.length;
  const x = (index: number): string => (((from + index) / (SLOTS - 1)) * WIDTH).toFixed(1);
  const y = (value: number): string => (HEIGHT - 1 - (value / top) * (HEIGHT - 8)).toFixed(1);
  return values.map((value, index) => `${index === 0 ? "M" : "L"}${x(index)} ${y(value)}`).join("");
}

export function Chart({ points }: { points: readonly Point[] }): JSX.Element {
  const recorded = points.map((point) => point.recorded);
  const delivered = points.map((point) => point.delivered);
  const top = ceiling(Math.max(1, ...recorded, ...delivered));
  const start = ((SLOTS - points.length) / (SLOTS - 1)) * WIDTH;
  const latest = points.at(-1);
  const summary = latest ? `Recorded ${decimal(latest.recorded)} and delivered ${decimal(latest.delivered)} per second now` : "No measurements yet";
  return (
    <figure class="chart">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={summary}>
        {[0, 0.5, 1].map((part) => (
          <line key={part} class="grid" x1="0" x2={WIDTH} y1={HEIGHT - 1 - part * (HEIGHT - 8)} y2={HEIGHT - 1 - part * (HEIGHT - 8)} />
        ))}
        {points.length > 1 && (
          <>
            <path class="area" d={`${line(recorded, top)}L${WIDTH} ${HEIGHT}L${start.toFixed(1)} ${HEIGHT}Z`} />
            <path class="second" d={line(delivered, top)} />
            <path class="first" d={line(recorded, top)} />
          </>
        )}
      </svg>
      <span class="scale">{decimal(top)}/s</span>
      <figcaption>
        <span class="key first">recorded</span>
        <span class="key second">delivered</span>
        <span class="span">last 3 minutes</span>
      </figcaption>
    </figure>
  );
}
