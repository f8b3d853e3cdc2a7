"""Publishes with redis-py: client.py HOST:PORT PROTOCOL ID."""

import json
import sys

import redis

address, protocol, deployment = sys.argv[1:]
host, port = address.rsplit(":", 1)
client = redis.Redis(host=host, port=int(port), protocol=int(protocol), decode_responses=True)


def publish(to, number):
    data = json.dumps({"n": number})
    return to.xadd("fanfare:deployments", {"type": "deployment_update", "id": deployment, "data": data})


assert client.ping()
entry = publish(client, 0)
assert client.xrange("fanfare:deployments", entry, entry)[0][1]["id"] == deployment

pipeline = client.pipeline(transaction=False)
for number in range(1, 1001):
    publish(pipeline, number)
assert len(set(pipeline.execute())) == 1000

transaction = client.pipeline(transaction=True)
for number in range(1001, 1011):
    publish(transaction, number)
assert len(set(transaction.execute())) == 10

try:
    client.set("a", "b")
except redis.ResponseError as error:
    assert "this is Fanfare" in str(error), error
else:
    raise AssertionError("SET is no command here")
