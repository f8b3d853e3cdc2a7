"""An agent: takes tasks, works on them, and answers for each result until it is recorded."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from .backoff import Backoff
from .client import address
from .desk import Desk, Handler
from .items import Json
from .job import Job
from .link import Change, Link, LinkOptions
from .tokens import Token, Tokens


class Agent:
    """Takes tasks over one connection, by a token of `role: "agent"`.

    `capabilities` are what tasks may require of it, `slots` how many it works on at once,
    `metadata` whatever else the agent list should show. `refuse` may answer with a reason not to
    take a job. `notify` is called at every `Change` of the connection.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Token = None,
        capabilities: tuple[str, ...] | list[str] = (),
        slots: int = 1,
        metadata: Json | None = None,
        refuse: Callable[[Job], str | None] | None = None,
        backoff: Backoff | None = None,
        connect_timeout: float = 10.0,
        tls: ssl.SSLContext | None = None,
        notify: Callable[[Change], None] | None = None,
    ) -> None:
        self._desk = Desk(list(capabilities), slots, metadata or {}, refuse)
        options = LinkOptions("websocket", backoff or Backoff(), connect_timeout, tls)
        self._link = Link(address(url), Tokens(token), self._desk, options, notify)

    def handler(self, work: Handler) -> Handler:
        """Decorate the function that works; one that is not `async` runs in a thread."""
        self._desk.work = work
        return work

    async def run(self) -> None:
        """Work until cancelled; raises `FanfareError` when the server refuses the agent for good.

        Cancelled, it stops its work and says `offline`, so that its tasks go to others at once.
        """
        if self._desk.work is None:
            raise ValueError("an agent needs a handler")
        self._link.start()
        try:
            raise await self._desk.watch()
        finally:
            self._desk.stop("lost")
            if self._link.session is not None:
                self._link.session.send({"type": "agent-status", "status": "offline"})
                await self._link.session.flush()
            await self._link.stop()
