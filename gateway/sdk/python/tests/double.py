"""A server that says what a test wants it to say, and writes down what it hears.

It stands in for faults that a real server does not commit on demand, and for the agents' frames.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol


class Conversation:
    """One connection, seen from the server."""

    def __init__(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.path = socket.request.path
        self.headers = socket.request.headers
        self.code: int | None = None
        self._socket = socket
        self._heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def say(self, *frames: Any) -> None:
        for frame in frames:
            await self._socket.send(frame if isinstance(frame, str) else json.dumps(frame))

    async def welcome(self, **what: Any) -> None:
        await self.say({"type": "welcome", "connection": "c", "ping_ms": 25000, **what})

    async def subscribed(self, channel: str, position: str = "e-0", **what: Any) -> None:
        frame = {"type": "subscribed", "channel": channel, "position": position}
        await self.say({**frame, "head": position, "state": None, **what})

    async def event(self, channel: str, position: str, **what: Any) -> None:
        frame = {"type": "event", "channel": channel, "position": position, "event": "x"}
        await self.say({**frame, "id": None, "data": {}, "at": 1, **what})

    async def hear(self, kind: str) -> dict[str, Any]:
        """Wait for the next frame, which must be of this type."""
        frame = await asyncio.wait_for(self._heard.get(), 20)
        assert frame["type"] == kind, f"{frame} instead of {kind}"
        return frame

    async def silence(self, seconds: float = 0.3) -> None:
        """Nothing is said for a while."""
        await asyncio.sleep(seconds)
        assert self._heard.empty(), f"said: {self._heard.get_nowait()}"

    async def close(self, code: int) -> None:
        await self._socket.close(code)

    async def cut(self) -> None:
        """End without a word."""
        self._socket.transport.abort()

    async def over(self) -> None:
        await asyncio.wait_for(self._socket.wait_closed(), 20)

    async def listen(self) -> None:
        try:
            async for text in self._socket:
                self._heard.put_nowait(json.loads(text))
        except ConnectionClosed:
            pass


class Double:
    """`async with Double() as double: … await double.conversation()`"""

    def __init__(self) -> None:
        self._come: asyncio.Queue[Conversation] = asyncio.Queue()

    async def __aenter__(self) -> Double:
        protocols = [Subprotocol("fanfare.v1")]
        self._server: Server = await serve(
            self._serve, "127.0.0.1", 0, subprotocols=protocols, ping_interval=None
        )
        port = next(iter(self._server.sockets)).getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def conversation(self) -> Conversation:
        """Wait for the next connection."""
        return await asyncio.wait_for(self._come.get(), 20)

    async def welcomed(self, **what: Any) -> Conversation:
        """Wait for the next connection, and welcome it."""
        conversation = await self.conversation()
        await conversation.welcome(**what)
        return conversation

    async def _serve(self, socket: ServerConnection) -> None:
        conversation = Conversation(socket)
        self._come.put_nowait(conversation)
        await conversation.listen()
