"""Publishing with one Redis command (the contract's `XADD`); needs `pip install fanfare[redis]`."""

from __future__ import annotations

import json
import time
from types import TracebackType
from typing import Any
from zlib import crc32

from redis.asyncio import Redis

from .publication import Publication

PARTITIONS_S = 10.0
"""How long a number of partitions that was read is taken for true."""


class RedisPublisher:
    """Appends events to the streams that the workers read, over one Redis server.

    Where it is a cluster or has sentinels, use their client and `key`.
    `prefix` is the server's `KEY_PREFIX`. `partitions`: how many the streams are cut into; by
    default the number that the workers have put in force, which Redis holds.
    """

    def __init__(self, url: str, *, prefix: str = "fanfare", partitions: int | None = None) -> None:
        self._redis = Redis.from_url(url, decode_responses=True)
        self._prefix = prefix
        self._given = partitions
        self._read = 1
        self._read_at: float | None = None

    async def publish(self, *publications: Publication) -> list[str]:
        """Append in order; returns the entries' ids. As durable as Redis is.

        After an error the same publications can be published again: each is applied once.
        """
        partitions = await self._partitions()
        pipe = self._redis.pipeline(transaction=False)
        for one in publications:
            pipe.xadd(self.key(one, partitions), _fields(one))
        return [str(entry) for entry in await pipe.execute()]

    def key(self, publication: Publication, partitions: int) -> str:
        """Return the Redis key of a publication: all events of one id go to one partition."""
        key = f"{self._prefix}:{publication.stream}"
        partition = crc32((publication.id or "").encode()) % partitions if publication.id else 0
        return f"{key}:{partition}" if partition else key

    async def close(self) -> None:
        """Close the connection."""
        await self._redis.aclose()

    async def __aenter__(self) -> RedisPublisher:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _partitions(self) -> int:
        if self._given is not None:
            return self._given
        now = time.monotonic()
        if self._read_at is None or now - self._read_at > PARTITIONS_S:
            said = await self._redis.get(f"{self._prefix}:partitions")
            self._read = int(said) if said and said.isdigit() and int(said) > 0 else 1
            self._read_at = now
        return self._read


def _fields(publication: Publication) -> dict[Any, Any]:
    fields = {name: value for name, value in publication.fields().items() if name != "stream"}
    return {**fields, "data": json.dumps(publication.data, separators=(",", ":"))}
