"""The client against a server that does what a real one rarely does."""

import asyncio

import pytest
from double import Double

from fanfare import Backoff, Client, Event, FanfareError, Gap, Problem, State, Subscribed, places
from fanfare import session as sessions

FAST = Backoff(0.01, 0.05)


def client(double: Double, **options: object) -> Client:
    return Client(double.url, backoff=FAST, **options)  # type: ignore[arg-type]


async def take(sub, kind, within=20.0):
    item = await asyncio.wait_for(anext(sub), within)
    assert isinstance(item, kind), item
    return item


async def until(condition):
    for _ in range(400):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("waited in vain")


async def test_a_token_travels_in_a_header_and_never_in_the_address():
    async with Double() as double, client(double, token="se cret") as one:
        one.connect()
        talk = await double.welcomed()
        assert talk.path == "/v1/connect"
        assert talk.headers["Authorization"] == "Bearer se cret"
        assert talk.headers["Sec-WebSocket-Protocol"] == "fanfare.v1"


async def test_what_is_no_object_or_unknown_is_ignored():
    async with Double() as double, client(double) as one:
        sub = one.subscribe("topic:a")
        talk = await double.welcomed(later=[1], limits={"later": {}})
        await talk.hear("subscribe")
        await talk.say("3", "null", "[]", '"x"', "no json", {"type": "later"}, {"type": ["x"]}, {})
        await talk.say({"type": "event", "channel": "topic:a"}, {"type": "event", "channel": 5})
        await talk.subscribed("topic:a", later=True)
        await talk.say("4")
        await talk.event("topic:a", "e-1", later={"a": 1})
        await take(sub, Subscribed)
        assert (await take(sub, Event)).position == "e-1"


async def test_a_cut_connection_resumes_by_position_whatever_it_looks_like():
    async with Double() as double, client(double) as one:
        sub = one.subscribe("topic:a")
        talk = await double.welcomed()
        assert "since" not in await talk.hear("subscribe")
        await talk.subscribed("topic:a", "?")
        for position in ("9", "what-so.ever", "1"):
            await talk.event("topic:a", position)
        await take(sub, Subscribed)
        assert [(await take(sub, Event)).position for _ in range(3)] == ["9", "what-so.ever", "1"]
        await talk.cut()
        talk = await double.welcomed()
        assert (await talk.hear("subscribe"))["since"] == "1"
        await talk.subscribed("topic:a", "1")
        assert (await take(sub, Subscribed)).resumed


async def test_at_a_drain_the_old_socket_is_held_back_and_discarded():
    async with Double() as double, client(double) as one:
        sub = one.subscribe("topic:a")
        old = await double.welcomed()
        await old.hear("subscribe")
        await old.subscribed("topic:a")
        await old.event("topic:a", "e-1")
        await old.say({"type": "bye", "reason": "restarting", "reconnect": True, "after_ms": 10})
        new = await double.welcomed()
        since = (await new.hear("subscribe"))["since"]
        assert since == "e-1"
        await old.event("topic:a", "e-2")  # Held back: the new one sends it too.
        await take(sub, Subscribed)
        assert (await take(sub, Event)).position == "e-1"
        await asyncio.sleep(0.2)
        await new.subscribed("topic:a", since)
        await new.event("topic:a", "e-2")
        await new.event("topic:a", "e-3")
        assert (await take(sub, Subscribed)).resumed
        assert [(await take(sub, Event)).position for _ in range(2)] == ["e-2", "e-3"]
        await old.over()


async def test_what_was_held_back_counts_when_the_new_socket_fails():
    async with Double() as double, client(double) as one:
        sub = one.subscribe("topic:a")
        old = await double.welcomed()
        await old.hear("subscribe")
        await old.subscribed("topic:a")
        await take(sub, Subscribed)
        await old.say({"type": "bye", "reason": "restarting", "reconnect": True, "after_ms": 0})
        new = await double.welcomed()
        await new.hear("subscribe")
        await old.event("topic:a", "e-1")
        await asyncio.sleep(0.2)
        await new.cut()
        assert (await take(sub, Event)).position == "e-1"
        await old.event("topic:a", "e-2")
        assert (await take(sub, Event)).position == "e-2"
        third = await double.welcomed()
        assert (await third.hear("subscribe"))["since"] == "e-2"
        await third.subscribed("topic:a", "e-2")
        await take(sub, Subscribed)
        await old.over()


async def test_an_unconfirmed_subscribe_is_asked_again(monkeypatch):
    monkeypatch.setattr(places, "CONFIRM_S", 0.2)
    async with Double() as double, client(double) as one:
        sub = one.subscribe("topic:a")
        talk = await double.welcomed()
        await talk.hear("subscribe")
        await talk.hear("unsubscribe")
        await talk.hear("subscribe")
        # The first answer after all: it belongs to what was left.
        await talk.subscribed("topic:a", "old")
        await talk.event("topic:a", "old-1")
        await talk.say({"type": "unsubscribed", "channel": "topic:a"})
        await talk.subscribed("topic:a", "new")
        assert (await take(sub, Subscribed)).position == "new"


async def test_a_server_that_is_degraded_is_not_pressed(monkeypatch):
    monkeypatch.setattr(places, "CONFIRM_S", 0.2)
    async with Double() as double, client(double) as one:
        one.subscribe("topic:a")
        talk = await double.welcomed(degraded="store")
        await talk.hear("subscribe")
        await talk.silence(1.5)


async def test_a_channel_that_is_refused_ends_and_one_that_must_wait_does_not():
    async with Double() as double, client(double) as one:
        refused, waits = one.subscribe("topic:a"), one.subscribe("topic:b")
        talk = await double.welcomed()
        await talk.hear("subscribe")
        await talk.hear("subscribe")
        for channel, code in (("topic:a", "forbidden"), ("topic:b", "unavailable")):
            await talk.say({"type": "error", "code": code, "message": "no", "channel": channel})
        with pytest.raises(FanfareError) as told:
            await anext(refused)
        assert told.value.code == "forbidden"
        assert (await take(waits, Problem)).code == "unavailable"
        assert (await talk.hear("subscribe"))["channel"] == "topic:b"


async def test_a_channel_that_the_server_leaves_ends():
    async with Double() as double, client(double) as one:
        sub = one.subscribe("topic:a")
        talk = await double.welcomed()
        await talk.hear("subscribe")
        await talk.subscribed("topic:a")
        await take(sub, Subscribed)
        await talk.say({"type": "unsubscribed", "channel": "topic:a"})
        with pytest.raises(FanfareError, match="unsubscribed"):
            await anext(sub)


async def test_channels_beyond_the_limit_wait_for_a_place():
    async with Double() as double, client(double) as one:
        first, second = one.subscribe("topic:a"), one.subscribe("topic:b")
        talk = await double.welcomed(limits={"subscriptions": 1, "frames_per_second": 50})
        assert (await talk.hear("subscribe"))["channel"] == "topic:a"
        assert (await take(second, Problem)).code == "too_many_subscriptions"
        await talk.silence()
        first.close()
        await talk.hear("unsubscribe")
        assert (await talk.hear("subscribe"))["channel"] == "topic:b"


async def test_it_is_no_faster_than_the_server_allows():
    async with Double() as double, client(double) as one:
        for n in range(30):
            one.subscribe(f"topic:{n}")
        talk = await double.welcomed(limits={"frames_per_second": 10})
        began = asyncio.get_running_loop().time()
        for _ in range(30):
            await talk.hear("subscribe")
        assert asyncio.get_running_loop().time() - began > 1.9


@pytest.mark.parametrize("code", [1001, 1002, 1008, 1009, 1011, 1012, 1013, 4008, 4009, 4999])
async def test_it_comes_back_after(code):
    async with Double() as double, client(double) as one:
        one.connect()
        await (await double.welcomed()).close(code)
        await double.welcomed()


@pytest.mark.parametrize("code", [1000, 4001, 4003])
async def test_it_stays_away_after(code):
    async with Double() as double, client(double, token="t") as one:
        sub = one.subscribe("topic:a")
        await (await double.welcomed()).close(code)
        with pytest.raises(FanfareError) as told:
            await anext(sub)
        assert told.value.code == code
        await until(lambda: one.state == "disconnected")


async def test_a_refused_token_is_replaced_once():
    tokens = iter(["old", "new", "newer"])

    async def source() -> str:
        return next(tokens)

    async with Double() as double, client(double, token=source) as one:
        sub = one.subscribe("topic:a")
        talk = await double.conversation()
        assert talk.headers["Authorization"] == "Bearer old"
        await talk.say({"type": "error", "code": "unauthorized", "message": "expired"})
        await talk.close(4001)
        talk = await double.conversation()
        assert talk.headers["Authorization"] == "Bearer new"
        await talk.close(4001)
        with pytest.raises(FanfareError):
            await anext(sub)


async def test_a_token_that_ends_soon_is_replaced_on_the_open_socket():
    import base64
    import json
    import time

    def source() -> str:
        claims = json.dumps({"exp": time.time() + 3}).encode()
        return f"h.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.s"

    async with Double() as double, client(double, token=source) as one:
        one.connect()
        talk = await double.welcomed()
        said = await talk.hear("token")
        assert talk.headers["Authorization"] != f"Bearer {said['token']}"


async def test_silence_is_asked_after_and_then_left(monkeypatch):
    monkeypatch.setattr(sessions, "PROBE_S", 1.0)
    async with Double() as double, client(double) as one:
        one.connect()
        talk = await double.welcomed(ping_ms=100)
        await talk.hear("ping")
        await talk.say({"type": "pong"})
        await talk.hear("ping")
        await double.welcomed()


async def test_presence_is_said_anew():
    async with Double() as double, client(double) as one:
        one.presence("busy")
        talk = await double.welcomed()
        assert (await talk.hear("presence"))["status"] == "busy"
        await talk.cut()
        talk = await double.welcomed()
        assert (await talk.hear("presence"))["status"] == "busy"


async def test_what_the_server_has_lost_is_told():
    changes = []
    async with Double() as double, client(double, notify=changes.append) as one:
        one.connect()
        talk = await double.welcomed(degraded="broker")
        await until(lambda: one.degraded == "broker")
        await talk.say({"type": "status", "degraded": True, "reason": "both"})
        await until(lambda: one.degraded == "both")
        await talk.say({"type": "status", "degraded": False})
        await until(lambda: one.degraded is None)
    assert [c.degraded for c in changes if c.state == "connected"] == ["broker", "both", None]


async def test_a_slow_reader_leaves_and_comes_back_without_a_loss():
    async with Double() as double, client(double) as one:
        slow, other = one.subscribe("topic:a", buffer=3), one.subscribe("topic:b")
        talk = await double.welcomed()
        for channel in ("topic:a", "topic:b"):
            await talk.hear("subscribe")
            await talk.subscribed(channel)
        for n in range(1, 6):
            await talk.event("topic:a", f"e-{n}")
        await talk.event("topic:b", "e-9")
        await take(other, Subscribed)
        await take(other, Event)
        await talk.hear("unsubscribe")
        await take(slow, Subscribed)
        assert [(await take(slow, Event)).position for _ in range(2)] == ["e-1", "e-2"]
        reading = asyncio.create_task(take(slow, Subscribed))
        assert (await talk.hear("subscribe"))["since"] == "e-2"
        await talk.event("topic:a", "e-6")
        await talk.say({"type": "unsubscribed", "channel": "topic:a"})
        await talk.subscribed("topic:a", "e-2")
        assert (await reading).resumed
        await talk.event("topic:a", "e-3")
        assert (await take(slow, Event)).position == "e-3"


async def test_a_gap_of_an_entity_is_followed_by_its_state():
    async with Double() as double, client(double) as one:
        sub = one.subscribe("task:t", since="e-1")
        talk = await double.welcomed()
        await talk.hear("subscribe")
        await talk.subscribed("task:t", "f-9")
        gap = {"type": "gap", "channel": "task:t", "from": "e-1", "to": "f-9", "cause": "epoch"}
        await talk.say(gap)
        await asyncio.sleep(0.1)
        await talk.cut()  # Before the state came: the gap must be told again.
        talk = await double.welcomed()
        assert (await talk.hear("subscribe"))["since"] == "e-1"
        await talk.subscribed("task:t", "f-9")
        await talk.say(gap)
        state = {"status": "running"}
        await talk.say({"type": "state", "channel": "task:t", "position": "f-9", "state": state})
        for _ in range(2):
            assert not (await take(sub, Subscribed)).resumed
            assert (await take(sub, Gap)).cause == "epoch"
        assert (await take(sub, State)).position == sub.position == "f-9"
        assert sub.state == state


async def test_a_channel_is_subscribed_once_and_can_be_taken_up_again():
    async with Double() as double, client(double) as one:
        sub = one.subscribe("topic:a")
        with pytest.raises(ValueError, match="already"):
            one.subscribe("topic:a")
        talk = await double.welcomed()
        await talk.hear("subscribe")
        sub.close()
        again = one.subscribe("topic:a")
        await talk.hear("unsubscribe")
        await talk.hear("subscribe")
        await talk.subscribed("topic:a", "old")
        await talk.say({"type": "unsubscribed", "channel": "topic:a"})
        await talk.subscribed("topic:a", "new")
        assert (await take(again, Subscribed)).position == "new"
        with pytest.raises(StopAsyncIteration):
            await anext(sub)
