// A server that says what no real one says.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const { WebSocketServer } = createRequire(fileURLToPath(new URL("../../web/package.json", import.meta.url)))("ws");

/** Welcomes everybody, confirms every subscription, and tells all what `say` is given, as it stands. */
export async function double(t) {
  const http = createServer();
  const sockets = new WebSocketServer({ server: http, handleProtocols: (offered) => (offered.has("fanfare.v1") ? "fanfare.v1" : false) });
  sockets.on("connection", (socket) => {
    const answer = (frame) => socket.send(JSON.stringify(frame));
    answer({ type: "welcome", connection: "c", user: null, ping_ms: 25_000, version: "test" });
    socket.on("message", (text) => {
      const { type, channel } = JSON.parse(String(text));
      if (type === "subscribe") answer({ type: "subscribed", channel, position: "m-1", head: "m-1", state: null });
      if (type === "unsubscribe") answer({ type: "unsubscribed", channel });
      if (type === "ping") answer({ type: "pong" });
    });
  });
  await new Promise((done) => http.listen(0, "127.0.0.1", done));
  t.after(() => {
    for (const socket of sockets.clients) socket.terminate();
    http.close();
  });
  const say = (text) => {
    for (const socket of sockets.clients) socket.send(text);
  };
  return { url: `http://127.0.0.1:${http.address().port}`, say };
}
