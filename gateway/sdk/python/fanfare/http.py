"""The server's HTTP side: publishing, and pages of the archive."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from .backoff import Backoff
from .errors import FanfareError
from .items import Event, Gap, Json, Position, read
from .publication import Publication, Published, PublishError
from .tokens import Tokens
from .wire import bearer

BATCH_EVENTS = 1000
"""The most events that the server takes at once."""
BATCH_BYTES = 3 * 1024 * 1024
"""The most bytes of a batch; the server takes bodies of 4 MiB."""
TRIES = 6
"""How often a batch is sent when the server is busy or away."""

_AGAIN = {429, 502, 503, 504}


@dataclass(frozen=True)
class Page:
    """A page of a channel's archive."""

    channel: str
    events: list[Event]
    next: Position | None
    """Where the next page begins; none at the end."""
    head: Position | None
    gap: Gap | None
    """What is older than the archive, if it was asked for."""


class Http:
    """Requests with the client's token."""

    def __init__(
        self, url: str, tokens: Tokens, backoff: Backoff, tls: ssl.SSLContext | None
    ) -> None:
        self._url = url
        self._tokens = tokens
        self._backoff = backoff
        self._client = httpx.AsyncClient(verify=tls or True, timeout=15.0)

    async def close(self) -> None:
        """Close idle connections."""
        await self._client.aclose()

    async def publish(self, publications: Sequence[Publication]) -> list[Published]:
        """Publish in batches, each all or nothing; what cannot be taken now is sent again."""
        published = []
        for start, batch in _batches([one.fields() for one in publications]):
            answer = await self._send(batch)
            said = answer.get("published")
            published += [
                Published(start + one["index"], one["channel"], one["position"])
                for one in (said if isinstance(said, list) else [])
            ]
        return published

    async def history(
        self, channel: str, since: Position | None, limit: int | None, reverse: bool, q: str | None
    ) -> Page:
        """Read a page of the archive."""
        asked = {"since": since, "limit": limit, "reverse": "true" if reverse else None, "q": q}
        query = {name: value for name, value in asked.items() if value is not None}
        path = f"/v1/channels/{quote(channel, safe='')}/events"
        status, body = await self._request("GET", path, params=query)
        if status != httpx.codes.OK:
            raise FanfareError(status, _detail(body), body)
        gap = None
        items = [read(frame) for frame in body["events"]]
        if isinstance(body.get("gap"), dict):
            gap = read({**body["gap"], "type": "gap", "channel": channel})
        return Page(
            channel=channel,
            events=[item for item in items if isinstance(item, Event)],
            next=body.get("next"),
            head=body.get("head"),
            gap=gap if isinstance(gap, Gap) else None,
        )

    async def task(self, method: str, path: str, body: Json | None = None) -> Json:
        """Ask for something about work; raises `FanfareError` with the server's status."""
        what = {} if body is None else {"json": body}
        status, answer = await self._request(method, f"/v1/tasks{path}", **what)
        if not httpx.codes.is_success(status):
            raise FanfareError(status, _detail(answer), answer)
        return answer

    async def _send(self, batch: list[Json]) -> Json:
        for attempt in range(1, TRIES + 1):
            wait = self._backoff.wait(attempt)
            try:
                status, body = await self._request("POST", "/v1/publish", json=batch)
            except httpx.TransportError as failed:
                if attempt == TRIES:
                    raise PublishError(
                        503, f"the server cannot be reached: {failed}", {}
                    ) from failed
            else:
                if status in (200, 202):
                    return body
                if status not in _AGAIN or attempt == TRIES:
                    raise PublishError(status, _detail(body), body)
                wait = max(wait, float(body.get("retry_after") or 0))
            await asyncio.sleep(wait)
        raise AssertionError("unreachable")

    async def _request(self, method: str, path: str, **what: Any) -> tuple[int, Json]:
        """Send a request, once more with another token where the first was refused."""
        token = await self._tokens.get()
        for last in (False, True):
            answer = await self._client.request(
                method, self._url + path, headers=bearer(token), **what
            )
            if answer.status_code != httpx.codes.UNAUTHORIZED or last or not self._tokens.renewable:
                break
            token = await self._tokens.renew()
        try:
            body = answer.json()
        except ValueError:
            body = {}
        body = body if isinstance(body, dict) else {}
        if answer.headers.get("retry-after", "").isdigit():
            body.setdefault("retry_after", int(answer.headers["retry-after"]))
        return answer.status_code, body


def _batches(events: list[Json]) -> Iterator[tuple[int, list[Json]]]:
    """Cut into batches that the server takes; each with the index of its first."""
    start, size = 0, 0
    for index, event in enumerate(events):
        length = len(json.dumps(event))
        if index > start and (index - start == BATCH_EVENTS or size + length > BATCH_BYTES):
            yield start, events[start:index]
            start, size = index, 0
        size += length
    if events:
        yield start, events[start:]


def _detail(body: Json) -> str:
    return str(body.get("detail") or body.get("title") or body.get("error") or "refused")
