"""One connection in use: what is said in it, at which pace, and whether it still lives."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Optional, Union

from .errors import LOST, SILENT, Closed
from .items import Json
from .pace import Pace
from .wire import Kind, Wire

PROBE_S = 10.0
"""How long the answer to our `ping` may take."""
OUTGOING_MAX = 10_000
"""How many frames may wait to be written; whoever wants more has lost touch."""

Outgoing = Union[Json, Callable[[], Optional[Json]]]
"""A frame, or a function that makes it (or none) at the moment of writing."""


@dataclass(frozen=True)
class Welcome:
    """What the server says of itself and of us when a connection opens."""

    connection: str = ""
    node: str = ""
    user: str | None = None
    degraded: str | None = None
    version: str = ""
    ping_ms: int = 25_000
    frames_per_second: int = 50
    subscriptions: int = 128
    frame_bytes: int = 0
    partitions: int = 1
    features: tuple[str, ...] = ()

    @classmethod
    def read(cls, frame: Json) -> Welcome:
        """Read the frame; what it lacks has the contract's defaults."""
        limits = frame.get("limits")
        said = {**(limits if isinstance(limits, dict) else {}), **frame}
        known = {name: said[name] for name in cls.__dataclass_fields__ if said.get(name)}
        return cls(**{**known, "features": tuple(said.get("features") or ())})


class Session:
    """Reads, writes and watches one wire; `hear` gets every frame that is an object."""

    def __init__(self, kind: Kind, hear: Callable[[Session, Json], None]) -> None:
        self.kind = kind
        self.welcome = Welcome()
        self.welcomed = asyncio.Event()
        self.ended: asyncio.Future[Closed] = asyncio.get_running_loop().create_future()
        self.heard = time.monotonic()
        self.ping_every: float | None = None
        """Seconds of silence before a ping, for those whose work depends on being heard."""
        self.degraded: str | None = None
        """What the server has lost for now."""
        self.bye: Json | None = None
        """The server's wish that we go elsewhere."""
        self._hear = hear
        self._wire: Wire | None = None
        self._queue: deque[Outgoing] = deque()
        self._filled = asyncio.Event()
        self._written = asyncio.Event()
        self._pinged: float | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, wire: Wire) -> None:
        """Begin to read, write and watch."""
        self._wire = wire
        runs = (self._read(wire), self._write(wire), self._watch())
        self._tasks = [asyncio.create_task(run) for run in runs]

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return not self.ended.done()

    def send(self, frame: Outgoing, first: bool = False) -> None:
        """Queue a frame; `first` goes before all that wait."""
        if len(self._queue) >= OUTGOING_MAX:
            return self.end(Closed(LOST, "too much waits to be written"))
        (self._queue.appendleft if first else self._queue.append)(frame)
        self._written.clear()
        self._filled.set()

    def end(self, why: Closed) -> None:
        """Take it for ended, whatever the other side thinks."""
        if self.alive:
            self.ended.set_result(why)
            self._filled.set()

    async def opened(self) -> None:
        """Wait for the welcome; raises `Closed` where none comes."""
        await either(self.welcomed, self.ended)
        if not self.alive:
            raise self.ended.result()

    async def flush(self, timeout: float = 2.0) -> None:
        """Wait until everything that was queued is written."""
        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
            await asyncio.wait_for(self._written.wait(), timeout)

    async def close(self, code: int = 1000) -> None:
        """Leave."""
        self.end(Closed(code))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._wire is not None:
            await self._wire.close(code)

    async def _read(self, wire: Wire) -> None:
        try:
            async for text in wire.texts():
                self.heard = time.monotonic()
                self._pinged = None
                frame = _parse(text)
                if frame is None:
                    continue
                if frame.get("type") == "welcome":
                    self.welcome = Welcome.read(frame)
                    self.welcomed.set()
                self._hear(self, frame)
        except Closed as why:
            self.end(why)

    async def _write(self, wire: Wire) -> None:
        await self.welcomed.wait()
        pace = Pace(self.welcome.frames_per_second, time.monotonic())
        try:
            while self.alive:
                if not self._queue:
                    self._written.set()
                    self._filled.clear()
                    await self._filled.wait()
                    continue
                await asyncio.sleep(pace.take(time.monotonic()))
                outgoing: Outgoing = self._queue.popleft()
                frame = outgoing() if callable(outgoing) else outgoing
                if frame is not None:
                    await wire.send(json.dumps(frame, separators=(",", ":")))
        except Closed as why:
            self.end(why)

    async def _watch(self) -> None:
        """Ask after silence of twice `ping_ms`, and give up when nothing answers."""
        await self.welcomed.wait()
        while self.alive:
            await asyncio.sleep(0.1 if self.ping_every else 0.5)
            now = time.monotonic()
            patience = self.ping_every or self.welcome.ping_ms / 500
            if self._pinged is None and now - self.heard >= patience:
                self._pinged = now
                self.send({"type": "ping"}, first=True)
            elif self._pinged is not None and now - self._pinged >= PROBE_S:
                self.end(Closed(SILENT))


async def either(
    event: asyncio.Event, ended: asyncio.Future[Closed], timeout: float | None = None
) -> None:
    """Wait for an event or an end, `timeout` seconds at most."""
    happened = asyncio.create_task(event.wait())
    first: list[asyncio.Future[Any]] = [happened, ended]
    try:
        await asyncio.wait(first, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        happened.cancel()


def _parse(text: str) -> Json | None:
    """Read a frame; what is no object is none of ours, and no reason to end."""
    try:
        frame = json.loads(text)
    except ValueError:
        return None
    return frame if isinstance(frame, dict) else None
