"""What one connection was asked for: the channels, which are confirmed, which were left."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from .items import Json

CONFIRM_S = 10.0
"""How long a server that is whole may take to answer a `subscribe`."""


@dataclass
class Ask:
    """A channel that was asked for."""

    at: float | None = None
    """When the question was written; none while it waits for its turn, or is answered."""
    again: bool = False
    """It was asked before, without an answer."""


class Places:
    """Counts the channels of one connection against the server's limit."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.asks: dict[str, Ask] = {}
        self._left: Counter[str] = Counter()

    def free(self) -> bool:
        """Whether another channel may be asked for."""
        return len(self.asks) < self._most

    def leave(self, channel: str) -> Json:
        """Give the place back; what comes before the answer to this frame is void."""
        self.asks.pop(channel, None)
        self._left[channel] += 1
        return {"type": "unsubscribe", "channel": channel}

    def void(self, frame: Json) -> bool:
        """Whether a frame belongs to a subscription that was left."""
        channel = frame["channel"]
        if self._left[channel] == 0:
            return False
        if frame["type"] == "unsubscribed":
            self._left[channel] -= 1
        return True

    def confirmed(self, channel: str) -> None:
        """The server has answered."""
        if channel in self.asks:
            self.asks[channel] = Ask()

    def overdue(self, now: float) -> list[str]:
        """Return the channels whose question was not answered in time."""
        late = now - CONFIRM_S
        return [name for name, ask in self.asks.items() if ask.at is not None and ask.at < late]

    def postpone(self, now: float) -> None:
        """Wait anew: the server said why it does not answer."""
        for ask in self.asks.values():
            if ask.at is not None:
                ask.at = now
