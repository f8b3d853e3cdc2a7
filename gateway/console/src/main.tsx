/** The console of a Fanfare gateway. */

import { render } from "preact";
import { App } from "./app.tsx";
import { rights } from "./credential.ts";
import { session, start } from "./gateway.ts";
import { channelOf, hrefOfChannel } from "./places.ts";
import { go, path, segments, startRouter } from "./router.ts";

const root = document.getElementById("app");
if (!root) throw new Error("the page has no #app");

startRouter();
render(<App />, root);
void start(channelOf(segments.peek())).then(home);

/** A reader of one channel finds it behind the front door. */
function home(): void {
  const { operator, reads, named } = rights.peek();
  const [channel] = named.filter((name) => !name.startsWith("user:"));
  if (session.peek() === "open" && path.peek() === "/" && channel && !operator && !reads("deployments")) go(hrefOfChannel(channel));
}
