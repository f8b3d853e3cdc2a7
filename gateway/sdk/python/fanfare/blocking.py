"""The blocking face: the same client for programs without an event loop.

    with Client("http://127.0.0.1:8080") as client:
        for item in client.subscribe("deployments"):
            print(item)

The connection lives in a thread of its own; all methods may be called from any thread.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from types import TracebackType
from typing import Any, Literal, TypeVar

from . import client, subscription
from .http import Page
from .items import Item, Json, Position
from .publication import Publication, Published

T = TypeVar("T")


class Client:
    """`fanfare.Client`, whose methods wait; takes the same arguments."""

    def __init__(self, url: str, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fanfare", daemon=True)
        self._thread.start()
        self._client = self._do(_made(url, options))

    @property
    def state(self) -> str:
        """`disconnected`, `connecting` or `connected`."""
        return self._client.state

    @property
    def degraded(self) -> str | None:
        """What the server has lost for now; none when it is whole."""
        return self._client.degraded

    def subscribe(
        self,
        channel: str,
        *,
        since: Position | None = None,
        tail: int = 0,
        mode: Literal["all", "latest"] = "all",
        buffer: int = subscription.BUFFER,
    ) -> Subscription:
        """Listen to a channel; iterate over what is returned."""

        async def subscribe() -> subscription.Subscription:
            return self._client.subscribe(channel, since=since, tail=tail, mode=mode, buffer=buffer)

        return Subscription(self, self._do(subscribe()))

    def publish(self, *publications: Publication) -> list[Published]:
        """Publish over HTTP; returns where the events were recorded."""
        return self._do(self._client.publish(*publications))

    def history(
        self,
        channel: str,
        *,
        since: Position | None = None,
        limit: int | None = None,
        reverse: bool = False,
        q: str | None = None,
    ) -> Page:
        """Read a page of the archive."""
        page = self._client.history(channel, since=since, limit=limit, reverse=reverse, q=q)
        return self._do(page)

    def create_task(self, title: str, **task: Any) -> Json:
        """Record a task for one agent; its result counts once."""
        return self._do(self._client.create_task(title, **task))

    def task(self, task_id: str) -> Json:
        """Return what is known of a task, its attempts, and what it waits for."""
        return self._do(self._client.task(task_id))

    def cancel_task(self, task_id: str, reason: str | None = None) -> Json:
        """End a task wherever it is."""
        return self._do(self._client.cancel_task(task_id, reason))

    def retry_task(self, task_id: str) -> Json:
        """Begin an ended task anew."""
        return self._do(self._client.retry_task(task_id))

    def presence(self, status: Literal["online", "away", "busy", "offline"]) -> None:
        """Tell others of this user's presence."""

        async def say() -> None:
            self._client.presence(status)

        self._do(say())

    def close(self) -> None:
        """Leave the server; every subscription ends."""
        if self._loop.is_closed():
            return
        self._do(self._client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _do(self, work: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout)
        except BaseException:
            future.cancel()
            raise


class Subscription:
    """Yields what happens on a channel; `position` and `state` belong to the last item."""

    def __init__(self, owner: Client, reader: subscription.Subscription) -> None:
        self._owner = owner
        self._reader = reader

    @property
    def channel(self) -> str:
        """The channel."""
        return self._reader.channel

    @property
    def position(self) -> Position | None:
        """Where to go on later: give it back as `since`."""
        return self._reader.position

    @property
    def state(self) -> Json | None:
        """The folded state."""
        return self._reader.state

    @property
    def active(self) -> bool:
        """Whether the server listens for us, now."""
        return self._reader.active

    def get(self, timeout: float | None = None) -> Item:
        """Wait for the next item, `timeout` seconds at most (then `TimeoutError`)."""
        return self._owner._do(_next(self._reader, timeout))

    def close(self) -> None:
        """Leave the channel."""

        async def close() -> None:
            self._reader.close()

        self._owner._do(close())

    def __iter__(self) -> Iterator[Item]:
        while True:
            try:
                yield self.get()
            except StopAsyncIteration:
                return


async def _made(url: str, options: dict[str, Any]) -> client.Client:
    return client.Client(url, **options)


async def _next(reader: subscription.Subscription, timeout: float | None) -> Item:
    try:
        return await asyncio.wait_for(anext(reader), timeout)
    except asyncio.TimeoutError as late:
        raise TimeoutError("nothing happened") from late
