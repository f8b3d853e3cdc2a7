"""The credential: a text, or a function that is asked for one and asked again before it ends."""

from __future__ import annotations

import base64
import inspect
import json
import time
from collections.abc import Awaitable, Callable
from typing import Optional, Union

Source = Callable[[], Union[str, Awaitable[Optional[str]], None]]
"""A function, also an `async` one, that answers with a JWT; none: go without."""

Token = Union[str, Source, None]
"""A JWT, an API key, or where to get a JWT."""

MARGIN_S = 30.0


class Tokens:
    """Keeps the current token, and knows when the next is due."""

    def __init__(self, given: Token) -> None:
        self._source = given if callable(given) else None
        self._current = None if callable(given) else given
        self._due: float | None = None

    @property
    def renewable(self) -> bool:
        """Whether there is a function to ask."""
        return self._source is not None

    def due(self) -> bool:
        """Whether the token ends soon and another can be had."""
        return self._due is not None and time.time() >= self._due

    async def get(self) -> str | None:
        """Return the current token, asking for the first one."""
        if self._current is None and self._source is not None:
            return await self.renew()
        return self._current

    async def renew(self) -> str | None:
        """Ask for another token."""
        if self._source is None:
            return self._current
        self._due = time.time() + MARGIN_S  # Should the source fail: not at once again.
        answer = self._source()
        self._current = await answer if inspect.isawaitable(answer) else answer
        end = expiry(self._current)
        now = time.time()
        self._due = None if end is None else max(now + 1, end - MARGIN_S, now + (end - now) / 2)
        return self._current


def expiry(token: str | None) -> float | None:
    """Return the end of a JWT, in seconds since 1970; none for what is no JWT or has no end."""
    try:
        claims = (token or "").split(".")[1]
        padded = claims + "=" * (-len(claims) % 4)
        return float(json.loads(base64.urlsafe_b64decode(padded))["exp"])
    except (IndexError, KeyError, TypeError, ValueError):
        return None
