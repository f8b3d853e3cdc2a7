"""Follows the channels of its arguments and writes what is delivered, a line each."""

import asyncio
import json
import os
import sys

import httpx

from fanfare import Backoff, Change, Client, Event, FanfareError, Gap, Problem, Subscribed


def say(**line: object) -> None:
    print(json.dumps(line), flush=True)


async def token() -> str:
    async with httpx.AsyncClient(trust_env=False) as http:
        return (await http.get(os.environ["TOKEN_URL"])).text


def changed(change: Change) -> None:
    say(kind="degraded", degraded=change.degraded is not None)


async def follow(sub) -> None:
    try:
        async for item in sub:
            match item:
                case Subscribed():
                    say(kind="subscribed", channel=sub.channel)
                case Event():
                    say(kind="event", channel=sub.channel, position=item.position)
                case Gap():
                    first, last = item.first, item.last
                    say(kind="gap", channel=sub.channel, **{"from": first, "to": last}, cause=item.cause)
                case Problem():
                    say(kind="error", channel=sub.channel, code=item.code)
    except FanfareError as error:
        say(kind="error", channel=sub.channel, code=error.code)


async def main() -> None:
    source = token if os.environ.get("TOKEN_URL") else None
    since = os.environ.get("SINCE") or None
    backoff = Backoff(0.05, 0.5)
    async with Client(os.environ["FANFARE_URL"], token=source, backoff=backoff, notify=changed) as client:
        subs = [client.subscribe(channel, since=since) for channel in sys.argv[1:]]
        follows = [asyncio.create_task(follow(sub)) for sub in subs]
        while await asyncio.to_thread(sys.stdin.readline):
            say(kind="states", states={sub.channel: sub.state for sub in subs})
        for one in follows:
            one.cancel()


asyncio.run(main())
