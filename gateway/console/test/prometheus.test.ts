import { expect, it } from "vitest";
import { by, parse, quantile, total } from "../src/prometheus.ts";

const before = parse('# HELP x y\nd_bucket{le="0.001"} 10\nd_bucket{le="0.01"} 10\nd_bucket{le="+Inf"} 10\n');
const after = parse('d_bucket{le="0.001"} 60\nd_bucket{le="0.01"} 110\nd_bucket{le="+Inf"} 110\nc{dialect="a\\"b",x="1"} 3\nc{dialect="q",x="1"} 4.5\n');

it("reads Prometheus text with labels", () => {
  expect(total(after, "c")).toBe(7.5);
  expect(total(after, "c", { dialect: "q" })).toBe(4.5);
  expect(total(after, "missing")).toBeNull();
  expect([...by(after, "c", "x")]).toEqual([["1", 7.5]]);
});

it("finds quantiles of what happened between two scrapes", () => {
  expect(quantile("d", 0.5, before, after)).toBeCloseTo(0.001);
  expect(quantile("d", 0.75, before, after)).toBeCloseTo(0.0055);
  expect(quantile("d", 0.5, after, after)).toBeNull();
});
