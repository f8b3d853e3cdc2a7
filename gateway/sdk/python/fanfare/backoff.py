"""Full jitter: a random wait below a bound that doubles with each attempt."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """How long to wait before coming back, in seconds."""

    least: float = 0.5
    most: float = 20.0

    def wait(self, attempt: int) -> float:
        """Return the seconds before `attempt` (from 1)."""
        bound = min(self.most, self.least * 2.0 ** min(attempt, 20))
        return random.uniform(min(self.least, bound), bound)
