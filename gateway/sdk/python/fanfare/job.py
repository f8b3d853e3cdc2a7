"""One task in an agent's hands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .items import Json


@dataclass(frozen=True)
class Dependency:
    """A task that had to complete first."""

    id: str
    result: Any
    """Its result; none where all of them together were too large."""


class Job:
    """A task, and what its agent says of it while it works."""

    def __init__(self, frame: Json, say: Callable[[Json], None]) -> None:
        self.id: str = frame["taskId"]
        self.type: str = frame.get("taskType") or "unknown"
        """The task's executor."""
        self.payload: Json = frame.get("payload") or {}
        self.attempt: int | None = frame.get("attempt")
        """Which attempt this is; none for a task that goes to all agents."""
        self.grace: float | None = _seconds(frame.get("graceMs"))
        """Seconds without a word from the server after which the work must stop."""
        self.timeout: float | None = _seconds(frame.get("timeoutMs"))
        """Seconds the attempt may run after its last `progress`."""
        self.priority: int | None = frame.get("priority")
        self.dependencies = [
            Dependency(one["taskId"], one.get("result")) for one in frame.get("dependencies") or []
        ]
        self.cancelled: str | None = None
        """Why the work was stopped: `cancelled`, `timeout`, `stale`, or `lost`."""
        self.name: Json = {"taskId": self.id}
        """What names the task, and its attempt, in every frame."""
        if self.attempt is not None:
            self.name["attempt"] = self.attempt
        self.task: asyncio.Task[None] | None = None
        self._say = say

    def progress(self, progress: float | None = None, message: str | None = None) -> None:
        """Say how far it is; this also begins the time-out anew."""
        said: Json = {"progress": progress, "message": message}
        self.tell("task-progress", {k: v for k, v in said.items() if v is not None})

    def log(self, *lines: str) -> None:
        """Add lines to the task's log."""
        self.tell("task-log", {"lines": list(lines)})

    def tell(self, kind: str, what: Json) -> None:
        """Say something of this attempt; a task for all has no words but its result."""
        if self.attempt is not None and self.cancelled is None:
            self._say({"type": kind, **self.name, **what})

    def stop(self, why: str) -> None:
        """Stop the work; a handler in a thread must look at `cancelled` itself."""
        self.cancelled = self.cancelled or why
        if self.task is not None:
            self.task.cancel()


def _seconds(ms: Any) -> float | None:
    return ms / 1000 if isinstance(ms, (int, float)) else None
