"""The client: one connection to a gateway, any number of channels."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal
from urllib.parse import quote

from .backoff import Backoff
from .channels import Channels
from .feed import Feed
from .http import Http, Page
from .items import Json, Position
from .link import Change, Link, LinkOptions, LinkState, Transport
from .publication import Publication, Published
from .session import Welcome
from .subscription import BUFFER, Subscription, Wish
from .tokens import Token, Tokens


class Client:
    """Subscribes and publishes.

    `url` is `https://host`, with or without a path in front of `/v1`. `token` is a JWT or an API
    key, or a function that answers with a JWT and is asked again before that ends. `notify` is
    called at every `Change` of the connection. It connects with the first subscription.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Token = None,
        transport: Transport = "auto",
        backoff: Backoff | None = None,
        connect_timeout: float = 10.0,
        tls: ssl.SSLContext | None = None,
        notify: Callable[[Change], None] | None = None,
    ) -> None:
        url = address(url)
        tokens = Tokens(token)
        options = LinkOptions(transport, backoff or Backoff(), connect_timeout, tls)
        self._channels = Channels(options.backoff, lambda: self._link.replace())
        self._link = Link(url, tokens, self._channels, options, notify)
        self._http = Http(url, tokens, options.backoff, tls)

    @property
    def state(self) -> LinkState:
        """`disconnected`, `connecting` or `connected`."""
        return self._link.state

    @property
    def degraded(self) -> str | None:
        """`broker`, `store` or `both`: what the server has lost for now; none when it is whole."""
        return self._link.degraded

    @property
    def welcome(self) -> Welcome | None:
        """What the server said when the connection in use began."""
        return self._link.session.welcome if self._link.session else None

    def connect(self) -> None:
        """Connect, as the first subscription does; after a final refusal this is the way back."""
        self._link.start()

    async def close(self) -> None:
        """Leave the server; every subscription ends."""
        for feed in list(self._channels.feeds.values()):
            feed.reader.close()
        await self._link.stop()
        await self._http.close()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def subscribe(
        self,
        channel: str,
        *,
        since: Position | None = None,
        tail: int = 0,
        mode: Literal["all", "latest"] = "all",
        buffer: int = BUFFER,
    ) -> Subscription:
        """Listen to a channel, which may be listened to once per client.

        `since`: everything after this position. `tail`: the last so many events first. `mode`
        `latest`: skip to the newest state when the reader is slow. `buffer`: items that wait.
        """
        if channel in self._channels.feeds:
            raise ValueError(f"{channel} has a subscription already")
        reader = Subscription(channel, Wish(since, tail, mode, buffer))
        feed = Feed(reader)
        reader._leave = lambda: self._channels.remove(feed)
        reader._caught_up = lambda: self._caught_up(feed)
        self._channels.add(feed, self._link.session)
        self._link.start()
        return reader

    async def publish(self, *publications: Publication) -> list[Published]:
        """Publish over HTTP; returns where the events were recorded.

        What the server accepted without recording it within 5 s (202) is not in the answer. Up to
        1000 events go together, all or none of them. Raises `PublishError`.
        """
        return await self._http.publish(publications)

    async def history(
        self,
        channel: str,
        *,
        since: Position | None = None,
        limit: int | None = None,
        reverse: bool = False,
        q: str | None = None,
    ) -> Page:
        """Read a page of the archive; `reverse`: downwards; `q`: only what contains it."""
        return await self._http.history(channel, since, limit, reverse, q)

    async def create_task(self, title: str, **task: Any) -> Json:
        """Record a task for one agent; its result counts once.

        `task` has the keys of the contract: `id`, `payload`, `requires`, `priority`, `retry`,
        `timeout_ms`, `depends_on`, `group` … Raises `FanfareError`: 409 where the `id` is taken.
        """
        said = {key: value for key, value in task.items() if value is not None}
        return await self._http.task("POST", "", {"title": title, **said})

    async def task(self, task_id: str) -> Json:
        """Return what is known of a task, its attempts, and what it waits for."""
        return await self._http.task("GET", f"/{quote(task_id, safe='')}")

    async def cancel_task(self, task_id: str, reason: str | None = None) -> Json:
        """End a task wherever it is; raises `FanfareError` 409 where it has ended otherwise."""
        body = {} if reason is None else {"reason": reason}
        return await self._http.task("POST", f"/{quote(task_id, safe='')}/cancel", body)

    async def retry_task(self, task_id: str) -> Json:
        """Begin an ended task anew."""
        return await self._http.task("POST", f"/{quote(task_id, safe='')}/retry", {})

    def presence(self, status: Literal["online", "away", "busy", "offline"]) -> None:
        """Tell others of this user's presence; said anew after each reconnection."""
        self._channels.presence = {"type": "presence", "status": status}
        self._link.start()
        if self._link.session is not None:
            self._link.session.send(self._channels.presence)

    def _caught_up(self, feed: Feed) -> None:
        if feed.behind:
            self._channels.caught_up(feed, self._link.session)


def address(url: str) -> str:
    """Return where HTTP goes: no `ws`, no slash at the end."""
    url = url.rstrip("/")
    return "http" + url.removeprefix("ws") if url.startswith("ws") else url
