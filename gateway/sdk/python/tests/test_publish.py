"""Publishing, over HTTP and by XADD."""

import json
import shutil
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fanfare import Backoff, Client, Event, FanfareError, Publication, PublishError
from fanfare.testing import Server
from fanfare.xadd import RedisPublisher

FAST = Backoff(0.01, 0.02)


@contextmanager
def answering(*answers: tuple[int, dict]):
    """Answer requests one after the other, and keep what they said."""
    left, heard = list(answers), []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply((self.path, None))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.path.startswith("/v1/tasks"):
                return self.reply((self.path, json.loads(body)))
            self.reply((self.headers.get("authorization"), json.loads(body)))

        def reply(self, said: tuple) -> None:
            heard.append(said)
            status, said = left.pop(0)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(said).encode())

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", heard
        server.shutdown()


async def test_what_cannot_be_taken_now_is_sent_again_with_the_same_id():
    recorded = {"published": [{"index": 0, "channel": "tasks", "position": "e-1"}]}
    with answering((503, {}), (504, {"items": []}), (200, recorded)) as (url, heard):
        async with Client(url, token="t", backoff=FAST) as client:
            done = await client.publish(Publication("tasks", "task_created", "t", {"title": "x"}))
    assert [one.position for one in done] == ["e-1"]
    assert len(heard) == 3
    assert heard[0] == heard[1] == heard[2]
    assert heard[0][0] == "Bearer t"
    assert heard[0][1][0]["event_id"]


async def test_a_refused_token_is_replaced_once():
    tokens = iter(["old", "new"])
    with answering((401, {}), (202, {"accepted": 1})) as (url, heard):
        async with Client(url, token=lambda: next(tokens), backoff=FAST) as client:
            assert await client.publish(Publication("topics", "x", "t")) == []
    assert [one[0] for one in heard] == ["Bearer old", "Bearer new"]


async def test_many_go_in_batches_that_the_server_takes():
    with Server(PUBLISH_PER_SECOND="10000") as server:
        async with Client(server.url) as client:
            many = [Publication("messages", "x", f"u{n}", {"n": n}) for n in range(1500)]
            done = await client.publish(*many)
    assert [one.index for one in done] == list(range(1500))


async def test_problems_are_typed(fanfare_server):
    async with Client(fanfare_server.url) as client:
        good = Publication("tasks", "task_created", "t", {"title": "x"})
        with pytest.raises(PublishError) as told:
            await client.publish(good, Publication("tasks", "task_created", "t", {}))
    assert told.value.code == 400
    assert [(one.index, one.path) for one in told.value.problems] == [(1, "data.title")]


async def test_the_same_event_id_is_applied_once(fanfare_server):
    token = fanfare_server.token("u", "--channels", "*", "--publish", "*")
    async with Client(fanfare_server.url, token=token) as client:
        one = Publication("tasks", "task_created", "t", {"title": "x"})
        first, again = await client.publish(one), await client.publish(one)
        assert len((await client.history("task:t")).events) == 1
        assert [p.position for p in first][:1] == [p.position for p in again][:1]


@pytest.fixture
def redis(tmp_path):
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server here")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    words = [program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", int(port))) == 0:
                break
        time.sleep(0.05)
    yield f"redis://127.0.0.1:{port}"
    process.kill()
    process.wait()


async def test_an_xadd_is_an_event(redis):
    with Server(REDIS_URL=redis) as server:
        async with Client(server.url) as client, RedisPublisher(redis) as publisher:
            sub = client.subscribe("deployment:deploy-1")
            await anext(sub)
            data = {"status": "building", "name": "ä"}
            one = Publication("deployments", "deployment_update", "deploy-1", data)
            assert len(await publisher.publish(one, one)) == 2
            item = await anext(sub)
            assert isinstance(item, Event)
            assert item.data == data
            assert len((await client.history("deployment:deploy-1")).events) == 1


async def test_all_events_of_an_id_go_to_one_partition(redis):
    async with RedisPublisher(redis, partitions=4, prefix="p") as publisher:
        one = Publication("deployments", "deployment_update", "123456789")
        assert publisher.key(one, 4) == "p:deployments:2"
        assert publisher.key(one, 1) == "p:deployments"
        assert publisher.key(Publication("messages", "system", None), 4) == "p:messages"
        await publisher.publish(one)
        assert await publisher._redis.xlen("p:deployments:2") == 1
    async with RedisPublisher(redis, prefix="q") as publisher:
        await publisher._redis.set("q:partitions", "4")
        await publisher.publish(one)
        assert await publisher._redis.xlen("q:deployments:2") == 1


async def test_work_is_recorded_looked_at_cancelled_and_begun_anew():
    answers = [(201, {"task": "t/1"}), (200, {"task": {}}), (409, {"title": "ended"}), (200, {})]
    with answering(*answers) as (url, heard):
        async with Client(url) as client:
            assert await client.create_task("Build", id="t/1", requires=["gpu"]) == {"task": "t/1"}
            await client.task("t/1")
            with pytest.raises(FanfareError) as told:
                await client.cancel_task("t/1", "too late")
            assert told.value.code == 409
            await client.retry_task("t/1")
    assert heard == [
        ("/v1/tasks", {"title": "Build", "id": "t/1", "requires": ["gpu"]}),
        ("/v1/tasks/t%2F1", None),
        ("/v1/tasks/t%2F1/cancel", {"reason": "too late"}),
        ("/v1/tasks/t%2F1/retry", {}),
    ]
