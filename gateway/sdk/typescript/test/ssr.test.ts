import { createElement as h } from "react";
import { renderToString } from "react-dom/server";
import { expect, it } from "vitest";
import { Fanfare } from "../src/index.ts";
import { FanfareProvider, useConnectionState, useDeployments, useLogs, useTask } from "../src/react.ts";

function Page() {
  const { status, rows } = useDeployments({ status: "building" });
  return h("p", null, [status, rows.length, useTask("t1").status, useLogs("task:t1").rows.length, useConnectionState()].join(" "));
}

it("renders on a server, where nothing connects", () => {
  const client = new Fanfare();
  expect(renderToString(h(FanfareProvider, { client }, h(Page)))).toBe("<p>idle 0 idle 0 disconnected</p>");
  expect(client.state).toBe("disconnected");
});
