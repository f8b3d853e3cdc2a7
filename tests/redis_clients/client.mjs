// Publishes with ioredis: client.mjs HOST:PORT PROTOCOL ID.
import assert from "node:assert/strict";
import { Redis } from "ioredis";

const [address, protocol, deployment] = process.argv.slice(2);
const [host, port] = address.split(":");
const client = new Redis({ host, port: Number(port), protocol: Number(protocol), maxRetriesPerRequest: 1 });

const event = (number) => [
  "fanfare:deployments", "*", "type", "deployment_update", "id", deployment, "data", JSON.stringify({ n: number }),
];

try {
  assert.equal(await client.ping(), "PONG");
  const entry = await client.xadd(...event(0));
  const [[id, fields]] = await client.xrange("fanfare:deployments", entry, entry);
  assert.equal(id, entry);
  assert.ok(fields.includes(deployment), fields);

  const pipeline = client.pipeline();
  for (let number = 1; number <= 1000; number++) pipeline.xadd(...event(number));
  const entries = await pipeline.exec();
  assert.equal(new Set(entries.map(([error, entry]) => error ?? entry)).size, 1000);

  const transaction = client.multi();
  for (let number = 1001; number <= 1010; number++) transaction.xadd(...event(number));
  assert.deepEqual((await transaction.exec()).map(([error]) => error), Array(10).fill(null));

  await assert.rejects(client.set("a", "b"), /this is Fanfare/);
} finally {
  client.disconnect();
}
