import { expectTypeOf, it } from "vitest";
import type { DeploymentState, EventFrame, Fanfare, Json, Subscription } from "../src/index.ts";

/** Never called: the compiler reads it. */
function reads(fanfare: Fanfare, any: string): void {
  const deployment = fanfare.subscribe("deployment:d1");
  expectTypeOf(deployment.state).toEqualTypeOf<DeploymentState | null>();
  deployment.on("event", (frame) => {
    expectTypeOf(frame.event).toEqualTypeOf<"deployment_update" | "deployment_log">();
    if (frame.event === "deployment_log") expectTypeOf(frame.data.lines).toEqualTypeOf<string[] | undefined>();
    else expectTypeOf(frame.data.progress).toEqualTypeOf<number | undefined>();
  });
  fanfare.subscribe("alerts").on("event", (frame) => {
    if (frame.event === "alert") expectTypeOf(frame.data.severity).toEqualTypeOf<"critical" | "warning" | "info">();
  });
  expectTypeOf(fanfare.subscribe(any)).toEqualTypeOf<Subscription<Json, EventFrame>>();
  expectTypeOf(fanfare.subscribe("user:u1")).toEqualTypeOf<Subscription<Json, EventFrame>>();
}

it("the channel's name says what its state and its events are", () => {
  expectTypeOf(reads).toBeFunction();
});
