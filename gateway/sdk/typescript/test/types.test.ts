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

/** Never called: each line that is marked must not compile. */
function refuses(fanfare: Fanfare): void {
  // @ts-expect-error a misspelt channel
  fanfare.subscribe("deploymnet:d1");
  const deployment = fanfare.subscribe("deployment:d1");
  // @ts-expect-error a misspelt field of a state
  deployment.state?.progres;
  // @ts-expect-error a misspelt type of event
  deployment.on("event", (frame) => frame.event === "deployment_updated");
  // @ts-expect-error a misspelt type
  void fanfare.publish({ stream: "tasks", type: "task_craeted", id: "t", data: { title: "x" } });
  // @ts-expect-error a misspelt field
  void fanfare.publish({ stream: "deployments", type: "deployment_update", id: "d", data: { progres: 5 } });
  // @ts-expect-error a field that is required
  void fanfare.publish({ stream: "tasks", type: "task_created", id: "t", data: {} });
  // @ts-expect-error what is the worker's alone
  void fanfare.publish({ stream: "tasks", type: "task_assigned", id: "t", data: { attempt: 1, agent: "a" } });
  // @ts-expect-error a misspelt key of a task
  void fanfare.createTask({ title: "x", priorty: 5 });
  void fanfare.publish({ stream: "topics", type: "price_changed", id: "prices", data: { amount: 5 } });
}

it("the channel's name says what its state and its events are, and what is misspelt does not compile", () => {
  expectTypeOf(reads).toBeFunction();
  expectTypeOf(refuses).toBeFunction();
});
