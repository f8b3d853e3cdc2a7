"""A connection that comes back: back-off, close codes, tokens, and the next before the last ends.

It knows nothing of channels or tasks; a `Handler` does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from .backoff import Backoff
from .errors import LOST, UNAUTHORIZED, Closed, FanfareError, verdict
from .items import Json
from .session import Session, either
from .tokens import Tokens
from .wire import EventStream, Kind, Socket, Wire

log = logging.getLogger("fanfare")

Transport = Literal["auto", "websocket", "sse"]
LinkState = Literal["disconnected", "connecting", "connected"]

SETTLED_S = 60.0
"""A connection that was not sent on for so long has settled."""


@dataclass(frozen=True)
class Change:
    """What changed about the connection."""

    state: LinkState
    reason: str = ""
    """Why the last connection or attempt ended."""
    wait: float = 0.0
    """Seconds until the next attempt."""
    degraded: str | None = None
    """`broker`, `store` or `both`: what the server has lost for now. Connections stay."""


class Handler(Protocol):
    """What a connection is for."""

    def query(self, session: Session) -> list[tuple[str, str]]:
        """Ask as an event stream does, in its address; an empty list: nothing to ask."""

    def ready(self, session: Session) -> None:
        """A connection was welcomed, and is the one to use."""

    def hear(self, session: Session, frame: Json) -> None:
        """A frame has come."""

    def lost(self, session: Session) -> None:
        """A connection has ended."""

    def settled(self, session: Session) -> bool:
        """Whether the connections before `session` are not needed any more."""

    def tick(self, session: Session) -> None:
        """A moment has passed."""

    def end(self, error: FanfareError) -> None:
        """There will be no connection any more."""


@dataclass(frozen=True)
class LinkOptions:
    """How to connect."""

    transport: Transport = "auto"
    backoff: Backoff = field(default_factory=Backoff)
    connect_timeout: float = 10.0
    tls: ssl.SSLContext | None = None


class Link:
    """Keeps one connection for a handler, from `start` to `stop`."""

    def __init__(
        self,
        url: str,
        tokens: Tokens,
        handler: Handler,
        options: LinkOptions,
        notify: Callable[[Change], None] | None = None,
    ) -> None:
        self.session: Session | None = None
        self.state: LinkState = "disconnected"
        self.degraded: str | None = None
        self._url = url
        self._tokens = tokens
        self._handler = handler
        self._options = options
        self._notify = notify
        self._leaving: list[Session] = []
        self._move: asyncio.Event = asyncio.Event()
        self._move_wait = 0.0
        self._moves = 0
        self._moved_at = 0.0
        self._failures = 0
        self._fresh = False
        """The last attempt was refused for its token, and another one was got."""
        self._socket_opened = False
        self._run: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Connect, and stay connected."""
        if self._run is None or self._run.done():
            self._failures, self._fresh = 0, False
            self._run = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Leave."""
        if self._run is not None:
            self._run.cancel()
            await asyncio.gather(self._run, return_exceptions=True)
            self._run = None

    def replace(self, wait: float = 0.0) -> None:
        """Open another connection, and leave this one when the other has taken over."""
        self._move_wait = wait
        self._move.set()

    async def _keep(self) -> None:
        wait = 0.0
        try:
            while True:
                await self._pause(wait)
                try:
                    session = await self._open()
                except Closed as why:
                    wait = await self._failed(why)
                    continue
                self._adopt(session)
                wait = await self._live(session)
        except FanfareError as error:
            self._handler.end(error)
        finally:
            sessions = [*self._leaving, *([self.session] if self.session else [])]
            self._leaving, self.session = [], None
            for session in sessions:
                self._handler.lost(session)
            await asyncio.gather(*(session.close() for session in sessions))
            self._tell("disconnected")

    async def _pause(self, wait: float) -> None:
        """Wait before an attempt, while the connection that is left (if any) goes on."""
        if self.session is None:
            return await asyncio.sleep(wait)
        end = time.monotonic() + wait
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, 0.5))
            self._bury()

    async def _open(self) -> Session:
        """Open a connection and wait for its welcome."""
        if self.session is None:
            self._tell("connecting")
        kind = self._kind()
        session = Session(kind, self._hear)
        try:
            async with _deadline(self._options.connect_timeout):
                token = await self._token()
                query = self._handler.query(session) if kind == "sse" else []
                session.start(await self._dial(kind, query, token))
                await session.opened()
        except BaseException as error:
            self._handler.lost(session)
            await session.close()
            if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
                raise Closed(LOST, "no answer in time") from error
            raise
        self._socket_opened |= kind == "websocket"
        return session

    async def _token(self) -> str | None:
        """Return the token; a source that fails is asked again after the back-off."""
        try:
            return await self._tokens.get()
        except Exception as error:
            raise Closed(LOST, f"no token: {error}") from error

    async def _dial(self, kind: Kind, query: list[tuple[str, str]], token: str | None) -> Wire:
        tls = self._options.tls
        if kind == "websocket":
            return await Socket.open(f"{self._url}/v1/connect", token, tls)
        if not query:
            raise Closed(LOST, "an event stream needs a channel")
        return await EventStream.open(f"{self._url}/v1/events", query, token, tls)

    def _kind(self) -> Kind:
        """Every third attempt is an event stream, as long as no WebSocket ever opened."""
        if self._options.transport != "auto":
            return self._options.transport
        if self.session is not None:
            return self.session.kind
        return "websocket" if self._socket_opened or self._failures % 3 < 2 else "sse"

    def _adopt(self, session: Session) -> None:
        if self.session is not None:
            self._leaving.append(self.session)
        self.session = session
        self._failures, self._fresh = 0, False
        self._move.clear()  # Whatever asked for another connection: here it is.
        self.degraded = session.degraded
        self._tell("connected")
        self._handler.ready(session)
        if session.bye is not None:
            self._bye(session.bye)

    async def _live(self, session: Session) -> float:
        """Use a connection until it ends or should be replaced; the seconds until the next."""
        while session.alive:
            if self._move.is_set():
                self._move.clear()
                return self._move_wait
            await either(self._move, session.ended, timeout=0.5)
            await self._renew(session)
            self._handler.tick(session)
            self._bury()
            await self._hand_over(session)
        why = session.ended.result()
        self._bury()
        return await self._failed(why)

    async def _renew(self, session: Session) -> None:
        """Hand a fresh token over before the old one ends."""
        if not self._tokens.due():
            return
        try:
            token = await self._tokens.renew()
        except Exception as error:
            log.warning("link: no new token, asked again later: %s", error)
            return
        if session.kind == "sse":
            self.replace()
        elif token:
            session.send({"type": "token", "token": token}, first=True)

    async def _hand_over(self, session: Session) -> None:
        if self._leaving and self._handler.settled(session):
            leaving, self._leaving = self._leaving, []
            for old in leaving:
                self._handler.lost(old)
                await old.close()

    def _bury(self) -> None:
        """Forget connections that have ended; an older one that lives is used again meanwhile."""
        for session in [s for s in self._leaving if not s.alive]:
            self._leaving.remove(session)
            self._over(session)
        if self.session is not None and not self.session.alive:
            self._over(self.session)
            self.session = self._leaving.pop() if self._leaving else None
            if self.session is None:
                self._tell("connecting")

    def _over(self, session: Session) -> None:
        self._handler.lost(session)
        task = asyncio.create_task(session.close())
        _CLOSING.add(task)
        task.add_done_callback(_CLOSING.discard)

    async def _failed(self, why: Closed) -> float:
        """Judge an end; the seconds to wait, or `FanfareError` where there is no way back."""
        what = verdict(why.code)
        if what == "stop":
            raise FanfareError(why.code, why.reason)
        if what == "token":
            if self._fresh or not self._tokens.renewable:
                raise FanfareError(UNAUTHORIZED, why.reason)
            self._fresh = True
            try:
                await self._tokens.renew()
                return 0.0
            except Exception as error:
                self._fresh = False
                log.warning("link: no new token, asked again later: %s", error)
        self._failures += 1
        wait = self._options.backoff.wait(self._failures)
        if self._move.is_set():
            self._move.clear()
            wait = max(wait, self._move_wait)
        if self.session is None:
            self._tell("connecting", why.reason, wait)
        return wait

    def _hear(self, session: Session, frame: Json) -> None:
        kind = frame.get("type")
        if kind == "welcome":
            session.degraded = session.welcome.degraded
        elif kind == "status":
            session.degraded = (frame.get("reason") or "unknown") if frame.get("degraded") else None
            if session is self.session:
                self.degraded = session.degraded
                self._tell(self.state)
        elif kind == "bye" and frame.get("reconnect") and session.bye is None:
            session.bye = frame
            if session is self.session:
                self._bye(frame)
        self._handler.hear(session, frame)

    def _bye(self, frame: Json) -> None:
        """Go elsewhere, at a random moment; later and later where a balancer leads back."""
        now = time.monotonic()
        self._moves = self._moves + 1 if now - self._moved_at < SETTLED_S else 0
        self._moved_at = now
        after_ms = frame.get("after_ms")
        wait = random.uniform(0, after_ms / 1000) if isinstance(after_ms, (int, float)) else 0.0
        self.replace(wait + (self._options.backoff.wait(self._moves) if self._moves else 0.0))

    def _tell(self, state: LinkState, reason: str = "", wait: float = 0.0) -> None:
        self.state = state
        if self._notify is not None:
            with contextlib.suppress(Exception):
                self._notify(Change(state, reason, wait, self.degraded))


_CLOSING: set[asyncio.Task[None]] = set()
"""Connections that are being left; a task that nobody holds may vanish."""


class _deadline:
    """`asyncio.timeout`, which Python 3.10 lacks."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._late = False

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._cancel, task)

    def _cancel(self, task: asyncio.Task[None]) -> None:
        self._late = task.cancel()

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._timer.cancel()
        if self._late and kind is not None and issubclass(kind, asyncio.CancelledError):
            raise TimeoutError
