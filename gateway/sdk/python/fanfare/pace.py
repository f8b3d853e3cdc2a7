"""No more frames a second than the server allows."""

from __future__ import annotations


class Pace:
    """A bucket that holds one second's worth and refills a little slower than the server's.

    The server counts on its own clock, and slows down whoever is faster: a client that paces
    itself never gets there.
    """

    def __init__(self, per_second: float, now: float) -> None:
        self._rate = max(per_second, 1.0) * 0.9
        self._left = self._rate
        self._at = now

    def take(self, now: float) -> float:
        """Take one frame; the seconds to wait before it may be written."""
        self._left = min(self._rate, self._left + (now - self._at) * self._rate) - 1
        self._at = now
        return max(0.0, -self._left / self._rate)
