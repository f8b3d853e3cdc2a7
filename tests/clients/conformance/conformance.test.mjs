// All our clients through one script, against real nodes that are killed, drained, degraded and slow:
// what each delivered is compared with the archive, and what it folded with the server's state.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { balancer, command, folder, office, publish, start, startPostgres, startRedis, until } from "../../web/fanfare.mjs";
import { double } from "./double.mjs";
import { CLIENTS, Follower, prepare } from "./followers.mjs";

const table = new Map();
before(prepare);
after(() => {
  const head = ["", ...CLIENTS];
  const rows = [...table].map(([name, cells]) => [name, ...CLIENTS.map((client) => cells.get(client) ?? "–")]);
  for (const row of [head, head.map(() => "---"), ...rows]) console.log(`| ${row.join(" | ")} |`);
});

/** A scenario: `follow` starts every client; what `judge` finds of each goes into the table. */
function scenario(name, run) {
  test(name, async (t) => {
    const cells = new Map();
    table.set(name, cells);
    const follow = async (url, channels, env) => {
      const followers = CLIENTS.map((client) => new Follower(t, client, url, channels, env));
      for (const one of followers) cells.set(one.name, "FAILED");
      return followers;
    };
    const failures = [];
    const judge = async (followers, verdict) => {
      for (const one of followers) {
        try {
          await verdict(one);
          await one.end();
          cells.set(one.name, "ok");
        } catch (error) {
          failures.push(error);
        }
      }
    };
    await run(t, follow, judge);
    if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join("\n"));
  });
}

/** Two nodes on one Redis and one database, behind one address. */
async function two(t, settings = {}) {
  const redis = await startRedis(t);
  const home = folder(t);
  const env = { REDIS_URL: redis.url, DATABASE_URL: (await startPostgres(t)).url, DRAIN_MS: "5000", ...settings };
  const nodes = [await start(t, { home, env }), await start(t, { home, env })];
  const { url, cut } = await balancer(
    t,
    nodes.map(({ port }) => port),
  );
  const again = async (n) => (nodes[n] = await start(t, { home, env, port: nodes[n].port }));
  return { url, nodes, redis, again, cut };
}

let next = 0;
/** Publishes at whichever node answers; the event's own id makes a repeat harmless. */
async function send(url, id, data = {}) {
  const event = { stream: "deployments", type: "deployment_update", id, event_id: `e${next}`, data: { progress: next % 100, message: `line ${next++}`, ...data } };
  const taken = () =>
    publish(url, event).then(
      () => true,
      () => false,
    );
  await until(taken, "an event is taken", 60_000);
}

async function archive(url, channel) {
  const positions = [];
  for (let since = ""; ; ) {
    const answer = await fetch(`${url}/v1/channels/${encodeURIComponent(channel)}/events?limit=1000${since && `&since=${since}`}`);
    const { events, next } = await answer.json();
    positions.push(...events.map(({ position }) => position));
    if (!next) return positions;
    since = encodeURIComponent(next);
  }
}

const listening = (followers, channels) =>
  Promise.all(followers.map((one) => one.sees("subscribed", () => channels.every((channel) => one.subscribed.includes(channel)))));

/** Everything in the archive was delivered once and in order, and the states are the server's. */
async function whole(one, url, channels) {
  for (const channel of channels) {
    const expected = await archive(url, channel);
    await one.sees(`${channel} whole`, () => one.positions(channel).length >= expected.length).catch(() => {});
    assert.deepEqual(one.positions(channel), expected, `${one.name}: ${channel}`);
  }
  assert.deepEqual([one.gaps, one.errors.filter(({ code }) => code !== "unavailable")], [[], []], one.name);
  const states = await one.states();
  for (const channel of channels) {
    const { state } = await (await fetch(`${url}/v1/channels/${channel}`)).json();
    assert.deepEqual(states[channel], state, `${one.name}: the state of ${channel}`);
  }
}

scenario("both nodes are killed in turn", async (t, follow, judge) => {
  const { url, nodes, again } = await two(t);
  const channels = ["deployment:a", "deployment:b"];
  const followers = await follow(url, channels);
  await listening(followers, channels);
  for (let n = 0; n < 60; n++) {
    await send(url, "ab"[n % 2]);
    if (n === 15) await nodes[0].kill();
    if (n === 25) await again(0);
    if (n === 40) await nodes[1].kill();
  }
  await judge(followers, (one) => whole(one, url, channels));
});

scenario("both nodes are drained in turn, while events come without pause", async (t, follow, judge) => {
  const { url, nodes, again } = await two(t);
  const channels = ["deployment:a", "deployment:b"];
  const followers = await follow(url, channels);
  await listening(followers, channels);
  let over = false;
  const writing = (async () => {
    for (let n = 0; !over; n++) await send(url, "ab"[n % 2]);
  })();
  for (const n of [0, 1]) {
    await nodes[n].drain();
    await again(n);
  }
  over = true;
  await writing;
  await judge(followers, (one) => whole(one, url, channels));
});

scenario("Redis goes and comes back: degraded is told, and nothing is lost", async (t, follow, judge) => {
  const { url, redis } = await two(t);
  const channels = ["deployment:a"];
  const followers = await follow(url, channels);
  await listening(followers, channels);
  for (let n = 0; n < 5; n++) await send(url, "a");
  await redis.stop();
  await Promise.all(followers.map((one) => one.sees("degraded", () => one.degraded)));
  await startRedis(t, redis.port);
  await Promise.all(followers.map((one) => one.sees("whole again", () => !one.degraded)));
  for (let n = 0; n < 5; n++) await send(url, "a");
  await judge(followers, (one) => whole(one, url, channels));
});

scenario("a server that allows 10 frames a second and 40 channels, and 40 channels after a cut", async (t, follow, judge) => {
  const { url, cut } = await two(t, { CLIENT_FRAMES_PER_SECOND: "10", MAX_SUBSCRIPTIONS: "40" });
  const channels = Array.from({ length: 40 }, (_, n) => `deployment:c${n}`);
  const followers = await follow(url, channels);
  await listening(followers, channels);
  cut();
  for (let n = 0; n < 40; n++) await send(url, `c${n}`);
  await judge(followers, (one) => whole(one, url, channels));
});

scenario("a position of another database is a gap and the newest state", async (t, follow, judge) => {
  const { url } = await start(t);
  await send(url, "a", { status: "building" });
  const followers = await follow(url, ["deployment:a"], { SINCE: "0badcafe-5" });
  await judge(followers, async (one) => {
    await one.sees("a gap", () => one.gaps.length > 0);
    assert.deepEqual(
      one.gaps.map(({ from, cause }) => [from, cause]),
      [["0badcafe-5", "epoch"]],
      one.name,
    );
    await until(async () => (await one.states())["deployment:a"]?.status === "building", `${one.name}: the state behind the gap`);
  });
});

scenario("tokens of a few seconds are renewed on the open connection", async (t, follow, judge) => {
  const env = { ENVIRONMENT: "production", HOST: "127.0.0.1", JWT_SECRET: "a secret that only this test knows", API_KEYS: "ops:a-key-of-this-test-alone" };
  const server = await start(t, { env });
  const key = { authorization: "Bearer a-key-of-this-test-alone", "content-type": "application/json" };
  let asked = 0;
  const tokens = createServer(async (_, response) => {
    asked += 1;
    const body = JSON.stringify({ sub: "ann", channels: ["deployment:*"], ttl_ms: 4000 });
    const answer = await fetch(`${server.url}/v1/tokens`, { method: "POST", headers: key, body });
    response.end((await answer.json()).token);
  });
  await new Promise((done) => tokens.listen(0, "127.0.0.1", done));
  t.after(() => tokens.close());
  const followers = await follow(server.url, ["deployment:a"], { TOKEN_URL: `http://127.0.0.1:${tokens.address().port}` });
  await listening(followers, ["deployment:a"]);
  await until(() => asked >= 3 * followers.length, "each has asked for a third token");
  const body = JSON.stringify({ stream: "deployments", type: "deployment_update", id: "a", data: {} });
  assert.equal((await fetch(`${server.url}/v1/publish`, { method: "POST", headers: key, body })).status, 200);
  await judge(followers, async (one) => {
    await one.sees("the event", () => one.positions("deployment:a").length === 1);
    assert.deepEqual([one.errors, one.subscribed], [[], ["deployment:a"]], one.name);
  });
});

scenario("where no WebSocket passes: server-sent events, also over a restart", async (t, follow, judge) => {
  const home = folder(t);
  const server = await start(t, { home });
  const { url } = await office(t, server.port);
  const channels = ["deployment:a", "deployment:b"];
  const followers = await follow(url, channels);
  await listening(followers, channels);
  for (let n = 0; n < 10; n++) await send(url, "ab"[n % 2]);
  await server.kill();
  await start(t, { home, port: server.port });
  for (let n = 0; n < 10; n++) await send(url, "ab"[n % 2]);
  await judge(followers, (one) => whole(one, url, channels));
});

scenario("frames that are none, frames of a later version, a subscription that the server ends", async (t, follow, judge) => {
  const { url, say } = await double(t);
  const followers = await follow(url, ["deployment:a", "deployment:b"]);
  await listening(followers, ["deployment:a", "deployment:b"]);
  const event = (position) => ({ type: "event", channel: "deployment:a", position, event: "deployment_update", id: "a", data: {}, at: 1, recorded: 1 });
  for (const text of ["3", '"x"', "[1]", "null", "{}", "not json", '{"type":"of_a_later_version","channel":"deployment:a"}', '{"type":"event","channel":"deployment:a"}']) say(text);
  // Positions in no order that could be read out of them.
  for (const position of ["z-9", "a-1", "?", "z-8"]) say(JSON.stringify({ ...event(position), of_a_later_version: true }));
  say(JSON.stringify({ type: "unsubscribed", channel: "deployment:b" }));
  await judge(followers, async (one) => {
    await one.sees("the last event", () => one.positions("deployment:a").at(-1) === "z-8");
    assert.deepEqual(one.positions("deployment:a"), ["z-9", "a-1", "?", "z-8"], one.name);
    await one.sees("the end of the other", () => one.errors.some(({ channel }) => channel === "deployment:b"));
  });
});

test("what the executable itself shows is what the archive has", async (t) => {
  const { url, nodes, again } = await two(t);
  const shown = command(t, url, "watch", "deployment:a", "--json");
  for (let n = 0; n < 30; n++) {
    await send(url, "a");
    if (n === 10) await nodes[0].drain();
    if (n === 15) await again(0);
    if (n === 20) await nodes[1].kill();
  }
  await send(url, "a", { status: "success" });
  const frames = (await shown).split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  const seen = frames.filter(({ type }) => type === "event").map(({ position }) => position);
  const expected = await archive(url, "deployment:a");
  // It may have begun after the first events: these came in the state that it began with.
  assert.ok(seen.length > 20, `${seen.length} events were shown`);
  assert.deepEqual(seen, expected.slice(expected.length - seen.length));
});
