"""One way to the server and back: a WebSocket, or server-sent events where those do not pass."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Sequence
from typing import Literal, Protocol

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from .errors import FORBIDDEN, LOST, UNAUTHORIZED, Closed

FRAME_BYTES_MAX = 32 * 1024 * 1024
"""The largest frame that is read: an event and a state are far smaller."""


Kind = Literal["websocket", "sse"]


class Wire(Protocol):
    """Texts in both directions; ends with `Closed`."""

    kind: Kind

    async def send(self, text: str) -> None:
        """Write one text."""

    def texts(self) -> AsyncIterator[str]:
        """Read the texts as they come; raises `Closed` at the end."""

    async def close(self, code: int) -> None:
        """Leave."""


class Socket:
    """A WebSocket. The token goes in a header, never into the address."""

    kind: Kind = "websocket"

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, url: str, token: str | None, tls: ssl.SSLContext | None) -> Socket:
        """Connect to `url` (`http…` or `ws…`)."""
        address = "ws" + url.removeprefix("http") if url.startswith("http") else url
        try:
            return cls(
                await connect(
                    address,
                    ssl=tls if address.startswith("wss") else None,
                    subprotocols=[Subprotocol("fanfare.v1")],
                    additional_headers=bearer(token),
                    ping_interval=None,  # The server pings, and we listen for its silence.
                    open_timeout=None,
                    close_timeout=2,
                    max_size=FRAME_BYTES_MAX,
                )
            )
        except InvalidStatus as refused:
            status = refused.response.status_code
            # Any other status may be a proxy's that knows no WebSockets.
            code = UNAUTHORIZED if status == httpx.codes.UNAUTHORIZED else LOST
            raise Closed(code, f"HTTP {status}") from refused
        except (OSError, WebSocketException, EOFError) as failed:
            raise Closed(LOST, str(failed)) from failed

    async def send(self, text: str) -> None:
        """Write one frame."""
        try:
            await self._connection.send(text)
        except ConnectionClosed as over:
            raise _closed(over) from over

    async def texts(self) -> AsyncIterator[str]:
        """Read frames; binary ones are none of ours."""
        try:
            while True:
                message = await self._connection.recv()
                if isinstance(message, str):
                    yield message
        except ConnectionClosed as over:
            raise _closed(over) from over

    async def close(self, code: int) -> None:
        """Close with `code`."""
        await self._connection.close(code)


class EventStream:
    """Server-sent events: one way only."""

    kind: Kind = "sse"

    def __init__(self, http: httpx.AsyncClient, response: httpx.Response) -> None:
        self._http = http
        self._response = response

    @classmethod
    async def open(
        cls,
        url: str,
        query: Sequence[tuple[str, str]],
        token: str | None,
        tls: ssl.SSLContext | None,
    ) -> EventStream:
        """Ask for the stream of the channels in `query`."""
        http = httpx.AsyncClient(verify=tls or True, timeout=None)
        headers = {"accept": "text/event-stream", **bearer(token)}
        request = http.build_request(
            "GET", url, params=httpx.QueryParams(list(query)), headers=headers
        )
        try:
            response = await http.send(request, stream=True)
            if response.status_code != httpx.codes.OK:
                raise Closed(_code(response.status_code), f"HTTP {response.status_code}")
        except httpx.HTTPError as failed:
            await http.aclose()
            raise Closed(LOST, str(failed)) from failed
        except BaseException:
            await http.aclose()
            raise
        return cls(http, response)

    async def send(self, text: str) -> None:
        """Do nothing: nobody listens."""

    async def texts(self) -> AsyncIterator[str]:
        """Read the `data:` of each frame; comments come as empty texts, being signs of life."""
        rest = b""
        try:
            async for chunk in self._response.aiter_bytes():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line.startswith(b"data:"):
                        yield line[5:].decode("utf-8", "replace").strip()
                    elif line.startswith(b":"):
                        yield ""
        except httpx.HTTPError as failed:
            raise Closed(LOST, str(failed)) from failed
        raise Closed(LOST, "the event stream ended")

    async def close(self, code: int) -> None:
        """Leave the stream."""
        await self._response.aclose()
        await self._http.aclose()


def bearer(token: str | None) -> dict[str, str]:
    """Return the header that carries a token or an API key."""
    return {"Authorization": f"Bearer {token}"} if token else {}


def _closed(over: ConnectionClosed) -> Closed:
    return Closed(over.rcvd.code, over.rcvd.reason) if over.rcvd else Closed(LOST)


def _code(status: int) -> int:
    """Return the close code that a refused stream amounts to."""
    return {401: UNAUTHORIZED, 403: FORBIDDEN}.get(status, LOST)
