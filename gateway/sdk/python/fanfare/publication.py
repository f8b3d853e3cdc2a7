"""What is published, and what came of it."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass, field
from typing import Literal

from .errors import FanfareError
from .items import Json, Position

Stream = Literal["deployments", "tasks", "agents", "containers", "messages", "topics"]


def _event_id() -> str:
    return uuid.uuid4().hex


@dataclass(frozen=True)
class Publication:
    """One event to publish. Its `event_id` makes it safe to repeat: it is applied once."""

    stream: Stream
    type: str
    id: str | None = None
    """What it is about."""
    data: Json = field(default_factory=dict)
    user: str | None = None
    """It also goes to this user's channel."""
    event_id: str = field(default_factory=_event_id)
    lease_ms: int | None = None
    """Tasks and deployments: without another event for so long, it ends as `abandoned`."""
    at: int | None = None
    """When it happened, milliseconds since 1970."""
    traceparent: str | None = None

    def fields(self) -> Json:
        """Return what is said, without what is not."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Published:
    """Where an event was recorded."""

    index: int
    """Which of the publications."""
    channel: str
    position: Position


@dataclass(frozen=True)
class Wrong:
    """What is wrong with a publication."""

    index: int
    path: str
    message: str


class PublishError(FanfareError):
    """The server refused, or the outcome is unknown; `code` is the HTTP status.

    400: nothing was applied, `problems` say why. 504: the outcome is unknown or only a part went
    in; `items` has the state of each, and the same publications can be published again.
    """

    def __init__(self, code: int, message: str, body: Json) -> None:
        super().__init__(code, message, body)
        said = body.get("problems")
        self.problems: list[Wrong] = [
            Wrong(int(one.get("index", 0)), str(one.get("path", "")), str(one.get("message", "")))
            for one in (said if isinstance(said, list) else [])
            if isinstance(one, dict)
        ]
        items = body.get("items")
        self.items: list[Json] = items if isinstance(items, list) else []
