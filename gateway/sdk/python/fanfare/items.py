"""What a subscription yields, and how it is read from the server's frames.

Frames and keys that are not known here are ignored: the server may be newer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Union

Json = dict[str, Any]
"""A JSON object whose keys nobody promised."""

Position = str
"""How far a channel was seen. Opaque: keep it, give it back as `since`, compare by equality."""


@dataclass(frozen=True)
class Event:
    """One event of a channel. Each comes once and in order."""

    channel: str
    position: Position
    type: str
    """`deployment_update`, `task_log`, `notification` …"""
    id: str | None
    """What it is about."""
    data: Json
    at: int
    """When it happened, milliseconds since 1970."""
    recorded: int
    """When it was recorded, milliseconds since 1970."""
    tail: bool = False
    """It is from before the subscription began (`tail`), and moves no position."""
    free: bool = False
    """A free message: its type says nothing about its meaning."""
    traceparent: str | None = None


@dataclass(frozen=True)
class Gap:
    """Events that can no longer be had, from `first` to `last`, both included."""

    channel: str
    first: Position
    last: Position
    cause: str
    """`retention`, `epoch`, `ahead` or `latest`."""


@dataclass(frozen=True)
class State:
    """The newest state, whole; it follows a gap."""

    channel: str
    position: Position | None
    state: Json | None


@dataclass(frozen=True)
class Subscribed:
    """The server listens for us from here on; comes again after each reconnection."""

    channel: str
    position: Position | None
    head: Position | None
    state: Json | None
    """The folded state at `position` where the channel begins anew, else null."""
    resumed: bool
    """The channel goes on exactly after the last event that was seen."""
    anew: bool
    """No position was given: `state` is the channel's."""


@dataclass(frozen=True)
class Presence:
    """How a user is there; only on the channel `presence`."""

    channel: str
    user: str | None
    status: str
    at: int


@dataclass(frozen=True)
class Problem:
    """Something that keeps the channel from going on for now; it is tried again by itself."""

    channel: str
    code: str
    message: str


Item = Union[Event, Gap, State, Subscribed, Presence, Problem]
"""What a subscription yields."""


def read(frame: Json) -> Item | None:
    """Read an item from a frame; none where it is no item or lacks what every such frame has."""
    try:
        return _READERS[frame["type"]](frame)
    except (KeyError, TypeError):
        return None


def _event(frame: Json) -> Event:
    data = frame["data"]
    return Event(
        channel=frame["channel"],
        position=frame["position"],
        type=frame["event"],
        id=frame.get("id"),
        data=data if isinstance(data, dict) else {},
        at=frame["at"],
        recorded=frame["recorded"] if "recorded" in frame else frame["at"],
        tail=frame.get("tail") is True,
        free=frame.get("free") is True,
        traceparent=frame.get("traceparent"),
    )


def _gap(frame: Json) -> Gap:
    return Gap(frame["channel"], frame["from"], frame["to"], frame.get("cause", ""))


def _state(frame: Json) -> State:
    return State(frame["channel"], frame.get("position"), frame.get("state"))


def _presence(frame: Json) -> Presence:
    return Presence("presence", frame.get("user"), frame["status"], frame.get("at", 0))


_READERS: dict[str, Callable[[Json], Item]] = {
    "event": _event,
    "gap": _gap,
    "state": _state,
    "presence": _presence,
}
