// Follows the channels of its arguments and writes what is delivered, a line each (Node, Bun, Deno).
import process from "node:process";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { FANFARE_SDK, FANFARE_URL, TOKEN_URL, SINCE, WS } = process.env;
const { Fanfare } = await import(pathToFileURL(FANFARE_SDK).href);
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const options = { minReconnectDelay: 50, maxReconnectDelay: 500 };
if (TOKEN_URL) options.getToken = async () => (await fetch(TOKEN_URL)).text();
if (WS) options.WebSocket = (await import(pathToFileURL(WS).href)).WebSocket;

const client = new Fanfare(FANFARE_URL, options);
client.on("status", ({ degraded }) => say({ kind: "degraded", degraded }));
const subscriptions = process.argv.slice(2).map((channel) => {
  const subscription = client.subscribe(channel, SINCE ? { since: SINCE } : {});
  subscription.on("subscribed", () => say({ kind: "subscribed", channel }));
  subscription.on("event", ({ position }) => say({ kind: "event", channel, position }));
  subscription.on("gap", ({ from, to, cause }) => say({ kind: "gap", channel, from, to, cause }));
  subscription.on("error", ({ code }) => say({ kind: "error", channel, code }));
  return subscription;
});
for await (const _ of createInterface({ input: process.stdin })) {
  say({ kind: "states", states: Object.fromEntries(subscriptions.map(({ channel, state }) => [channel, state])) });
}
client.close();
process.exit(0);
