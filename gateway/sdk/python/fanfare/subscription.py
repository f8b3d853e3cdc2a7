"""The reader of one channel: an async iterator, the position and the folded state."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

from .fold import fold
from .items import Event, Gap, Item, Json, Position, State, Subscribed

BUFFER = 1000
"""Items that wait for a slow reader by default."""


@dataclass(frozen=True)
class Wish:
    """What a subscription asks for."""

    since: Position | None = None
    """Everything after this position, as far as the archive reaches back."""
    tail: int = 0
    """The last so many events first, marked `tail`; without effect beside `since`."""
    mode: Literal["all", "latest"] = "all"
    """`latest`: a slow reader is skipped to the newest state."""
    buffer: int = BUFFER
    """Items that wait for a slow reader. One that falls behind loses nothing: the channel is left,
    and asked for again from there when the reader has caught up."""


class Subscription:
    """Yields what happens on a channel; made by `Client.subscribe`.

    `position` and `state` belong to the item that was yielded last: keep `position`, give it back
    as `since`, and nothing is lost or repeated. `state` is none while it is unknown, and on
    channels that have none.
    """

    def __init__(self, channel: str, wish: Wish) -> None:
        self.channel = channel
        self.wish = wish
        self.position: Position | None = wish.since
        self.state: Json | None = None
        self.active = False
        """The server listens for us, now."""
        self._known = False
        self._items: deque[Item] = deque()
        self._error: BaseException | None = None
        self._filled = asyncio.Event()
        self._leave: Callable[[], None] = _nothing
        self._caught_up: Callable[[], None] = _nothing

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Item:
        """Wait for the next item; raises `FanfareError` when the channel is refused for good."""
        while not self._items:
            if self._error is not None:
                raise self._error
            self._filled.clear()
            self._caught_up()
            await self._filled.wait()
        item = self._items.popleft()
        self._follow(item)
        return item

    async def __aenter__(self) -> Subscription:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the channel; what waits can still be read."""
        self._leave()
        self._end(StopAsyncIteration())

    @property
    def _full(self) -> bool:
        return len(self._items) >= self.wish.buffer

    def _put(self, item: Item) -> None:
        if self._error is None:
            self._items.append(item)
            self._filled.set()

    def _end(self, error: BaseException) -> None:
        self.active = False
        if self._error is None:
            self._error = error
            self._filled.set()

    def _follow(self, item: Item) -> None:
        """Move position and state along with what the reader sees."""
        if isinstance(item, Event):
            if item.tail:
                return
            self.position = item.position
            if self._known:
                self.state = fold(self.channel, self.state, item)
        elif isinstance(item, Gap):
            self.position = item.last
        elif isinstance(item, State) or (isinstance(item, Subscribed) and item.anew):
            self.position, self.state, self._known = item.position, item.state, True


def _nothing() -> None:
    """Stand in for a client that is not there (yet)."""
