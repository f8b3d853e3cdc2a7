/** The console of a Fanfare gateway. */

import { effect } from "@preact/signals";
import { render } from "preact";
import { App } from "./app.tsx";
import { startCollections } from "./collection.ts";
import { session, start } from "./gateway.ts";
import { startRouter } from "./router.ts";

const root = document.getElementById("app");
if (!root) throw new Error("the page has no #app");

startRouter();
effect(() => {
  if (session.value === "open") startCollections();
});
render(<App />, root);
void start();
