// @vitest-environment happy-dom
import { act, type FunctionComponent, createElement as h } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, expect, it } from "vitest";
import { WebSocket } from "ws";
import { Fanfare } from "../src/index.ts";
import { FanfareProvider, useChannel, useConnectionState, useDeployment, useLogs, usePresence, useTask } from "../src/react.ts";
import { Gateway } from "./gateway.ts";

(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;

let node: Gateway;
let client: Fanfare;
let root: Root;

beforeEach(async () => {
  node = await new Gateway().listen();
  client = new Fanfare(node.url, { WebSocket: WebSocket as never, minReconnectDelay: 5, maxReconnectDelay: 20 });
  root = createRoot(document.body.appendChild(document.createElement("div")));
});

afterEach(async () => {
  await act(async () => root.unmount());
  client.close();
  await node.stop();
});

const Page: FunctionComponent<{ id: string }> = ({ id }) => {
  const { state, status } = useDeployment(id);
  const { rows } = useLogs(`deployment:${id}`, { tail: 10 });
  return h(
    "p",
    null,
    [useConnectionState(), status, state?.progress, ...rows.map((row) => (row.kind === "line" ? row.text : `gap ${row.from} ${row.to}`))].join(" "),
  );
};

async function shows(text: string): Promise<void> {
  const content = (): string | undefined => document.querySelector("p")?.textContent;
  for (let n = 0; n < 200 && content() !== text; n++) await act(() => new Promise((resolve) => setTimeout(resolve, 10)));
  expect(content()).toBe(text);
}

it("a page follows a deployment through a lost connection, and another deployment after it", async () => {
  node.publish("deployment:d1", "deployment_log", { lines: ["one"] });
  await act(async () => root.render(h(FanfareProvider, { client }, h(Page, { id: "d1" }))));
  await shows("connected subscribed 0 one");
  node.cut();
  node.publish("deployment:d1", "deployment_update", { progress: 40 });
  node.publish("deployment:d1", "deployment_log", { lines: ["two", "three"] });
  await shows("connected subscribed 40 one two three");
  await act(async () => root.render(h(FanfareProvider, { client }, h(Page, { id: "d2" }))));
  node.publish("deployment:d2", "deployment_update", { progress: 7 });
  await shows("connected subscribed 7");
});

const Team: FunctionComponent<{ enabled: boolean; heard: string[] }> = ({ enabled, heard }) => {
  const { state } = useTask("t1");
  const { status, event } = useChannel("alerts", { enabled, onEvent: (frame) => void heard.push(frame.event === "alert" ? frame.data.title : "") });
  const { users, set } = usePresence();
  return h("p", { onClick: () => set("busy") }, [state?.status, status, event?.id, JSON.stringify(users)].join(" "));
};

it("a page shows a task, a feed while it is wanted, and who is there", async () => {
  const heard: string[] = [];
  const show = (enabled: boolean): Promise<void> => act(async () => root.render(h(FanfareProvider, { client }, h(Team, { enabled, heard }))));
  await show(true);
  await shows(" subscribed  {}");
  node.publish("task:t1", "task_created", { title: "Review" });
  node.publish("alerts", "alert", { title: "Disk", severity: "warning" });
  document.querySelector("p")?.click();
  await shows('pending subscribed  {"u":"busy"}');
  expect(heard).toEqual(["Disk"]);
  await show(false);
  await shows('pending idle  {"u":"busy"}');
  node.publish("alerts", "alert", { title: "Nobody hears this" });
  node.publish("task:t1", "task_result", {});
  await shows('completed idle  {"u":"busy"}');
  expect(heard).toEqual(["Disk"]);
});
