"""The client against a real server: what is delivered is compared with the archive."""

import asyncio
import contextlib
import itertools

import pytest

from fanfare import Backoff, Client, Event, FanfareError, Gap, Publication, State, Subscribed
from fanfare.testing import Server

FAST = Backoff(0.05, 0.5)


async def take(sub, kind):
    item = await asyncio.wait_for(anext(sub), 30)
    assert isinstance(item, kind), item
    return item


async def events(sub, count: int) -> list[Event]:
    """Read so many events, whatever comes between."""
    found: list[Event] = []
    while len(found) < count:
        item = await asyncio.wait_for(anext(sub), 30)
        assert not isinstance(item, Gap), item
        if isinstance(item, Event):
            found.append(item)
    return found


def update(n: int, **data: object) -> Publication:
    return Publication("deployments", "deployment_update", "d1", {"progress": n, **data})


async def archive(client: Client, channel: str) -> list[str]:
    found: list[str] = []
    since = None
    while True:
        page = await client.history(channel, since=since, limit=500)
        found += [event.position for event in page.events]
        if page.next is None:
            return found
        since = page.next


async def test_the_state_that_is_folded_here_is_the_servers(fanfare_server):
    async with Client(fanfare_server.url, backoff=FAST) as client:
        sub = client.subscribe("deployment:d1")
        await take(sub, Subscribed)
        await client.publish(update(1, message="one", custom={"a": [1]}), update(2, logs=["x"]))
        await client.publish(Publication("deployments", "deployment_log", "d1", {"lines": ["y"]}))
        await client.publish(update(100, status="success"))
        await events(sub, 4)
        async with Client(fanfare_server.url) as other:
            whole = await take(other.subscribe("deployment:d1"), Subscribed)
        assert sub.position == whole.position
        assert sub.state is not None
        # Until the frames carry the time of recording, lines and times differ by milliseconds.
        for state in (sub.state, whole.state):
            state.pop("timestamp")
            state["logs"] = [line.split("] ")[-1] for line in state["logs"]]
        assert sub.state == whole.state


async def test_nothing_is_lost_or_doubled_when_the_server_dies(fanfare_server):
    async with Client(fanfare_server.url, backoff=FAST) as client:
        sub = client.subscribe("deployment:d1")
        await take(sub, Subscribed)
        for n in range(5):
            await client.publish(update(n))
        fanfare_server.kill()
        writing = asyncio.create_task(client.publish(*(update(n) for n in range(5, 10))))
        await asyncio.to_thread(fanfare_server.start)
        await writing
        seen = await events(sub, 10)
        assert [event.data["progress"] for event in seen] == list(range(10))
        assert [event.position for event in seen] == await archive(client, "deployment:d1")


async def test_another_client_goes_on_where_one_stopped(fanfare_server):
    async with Client(fanfare_server.url) as client:
        sub = client.subscribe("deployment:d1")
        await take(sub, Subscribed)
        await client.publish(update(1), update(2))
        kept = (await events(sub, 1))[0].position
    async with Client(fanfare_server.url) as client:
        sub = client.subscribe("deployment:d1", since=kept)
        assert (await take(sub, Subscribed)).resumed
        assert (await events(sub, 1))[0].data["progress"] == 2


async def test_a_tail_comes_first_and_is_marked(fanfare_server):
    async with Client(fanfare_server.url) as client:
        await client.publish(*(update(n) for n in range(5)))
        sub = client.subscribe("deployment:d1", tail=2)
        await take(sub, Subscribed)
        before = sub.position
        assert [(e.data["progress"], e.tail) for e in await events(sub, 2)] == [
            (3, True),
            (4, True),
        ]
        assert sub.position == before


async def test_a_position_of_another_database_is_a_gap_and_the_newest_state(fanfare_server):
    async with Client(fanfare_server.url) as client:
        await client.publish(update(7))
        sub = client.subscribe("deployment:d1", since="0badcafe-5")
        assert not (await take(sub, Subscribed)).resumed
        gap = await take(sub, Gap)
        assert (gap.first, gap.cause) == ("0badcafe-5", "epoch")
        assert (await take(sub, State)).state["progress"] == 7
        assert sub.state["progress"] == 7


@pytest.mark.parametrize("transport", ["websocket", "sse"])
async def test_a_drain_loses_and_doubles_nothing(fanfare_server, transport):
    async with (
        Client(fanfare_server.url, backoff=FAST, transport=transport) as client,
        Client(fanfare_server.url, backoff=FAST) as writer,
    ):
        sub = client.subscribe("deployment:d1")
        await take(sub, Subscribed)
        over = asyncio.Event()

        async def write() -> int:
            for n in itertools.count():
                await writer.publish(update(n))
                if over.is_set():
                    return n + 1

        writing = asyncio.create_task(write())
        await events(sub, 5)
        await asyncio.to_thread(fanfare_server.drain)
        await asyncio.to_thread(fanfare_server.start)
        over.set()
        count = await writing
        seen = await events(sub, count - 5)
        expected = (await archive(writer, "deployment:d1"))[5:]
        assert [event.position for event in seen] == expected


# Servers before `unsubscribed` by rights keep the channel; the double shows what newer ones do.
@pytest.mark.xfail(raises=asyncio.TimeoutError, strict=False)
async def test_rights_that_a_new_token_lacks_end_a_channel(fanfare_server):
    given = iter([("--channels", "tasks", "--ttl", "4s"), ("--channels", "agents")])

    def source() -> str:
        return fanfare_server.token("ann", *next(given))

    async with Client(fanfare_server.url, token=source) as client:
        sub = client.subscribe("tasks")
        await take(sub, Subscribed)
        with pytest.raises(FanfareError) as told:
            await asyncio.wait_for(anext(sub), 6)
        assert told.value.code in ("forbidden", "unsubscribed")


async def test_a_token_that_nobody_signed_ends_it(fanfare_server):
    async with Client(fanfare_server.url, token="wrong") as client:
        with pytest.raises(FanfareError) as told:
            await anext(client.subscribe("tasks"))
        assert told.value.code == 4001


async def test_a_hundred_and_twenty_eight_channels_change_for_others(fanfare_server):
    async with Client(fanfare_server.url, backoff=FAST) as client:
        old = [client.subscribe(f"deployment:a{n}") for n in range(128)]
        await asyncio.gather(*(take(sub, Subscribed) for sub in old))
        for sub in old:
            sub.close()
        new = [client.subscribe(f"deployment:b{n}") for n in range(128)]
        await asyncio.gather(*(_confirmed(sub) for sub in new))


async def _confirmed(sub) -> None:
    while not isinstance(await asyncio.wait_for(anext(sub), 60), Subscribed):
        pass


async def test_presence_is_seen_by_others(fanfare_server):
    tokens = [fanfare_server.token(user, "--channels", "presence") for user in ("ann", "bob")]
    async with (
        Client(fanfare_server.url, token=tokens[0]) as ann,
        Client(fanfare_server.url, token=tokens[1]) as bob,
    ):
        sub = bob.subscribe("presence")
        await take(sub, Subscribed)
        ann.presence("busy")
        while (item := await asyncio.wait_for(anext(sub), 10)).status != "busy":
            pass
        assert item.user == "ann"


async def test_where_no_websocket_passes_it_falls_back_to_an_event_stream(fanfare_server):
    async with _office(fanfare_server) as url, Client(url, backoff=FAST) as client:
        sub = client.subscribe("deployment:d1")
        await take(sub, Subscribed)
        await client.publish(update(1))
        assert (await events(sub, 1))[0].data["progress"] == 1
        fanfare_server.kill()
        await asyncio.to_thread(fanfare_server.start)
        await client.publish(update(2))
        assert (await events(sub, 1))[0].data["progress"] == 2


@contextlib.asynccontextmanager
async def _office(server: Server):
    """A proxy as in some offices: HTTP passes, WebSockets do not."""
    open_writers = set()

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while part := await reader.read(65536):
                writer.write(part)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_writers.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            if b"upgrade: websocket" in head.lower():
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            else:
                there, back = await asyncio.open_connection("127.0.0.1", server.port)
                back.write(head)
                await asyncio.gather(pipe(reader, back), pipe(there, writer))
        writer.close()

    proxy = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
    finally:
        proxy.close()
        for writer in open_writers:
            writer.transport.abort()
        await asyncio.sleep(0.1)


async def test_many_publishers_and_one_slow_reader(fanfare_server):
    async with Client(fanfare_server.url, backoff=FAST) as client:
        sub = client.subscribe("deployment:d1", buffer=10)
        await take(sub, Subscribed)
        await client.publish(*(update(n) for n in range(200)))
        seen = []
        while len(seen) < 200:
            item = await asyncio.wait_for(anext(sub), 30)
            if isinstance(item, Event):
                seen.append(item.data["progress"])
            await asyncio.sleep(0.002)
        assert seen == list(range(200))
