"""The fold: event by event from one state of an entity to the next, by the server's own rules.

The rules live in `shared/domain/src/event`; `tests/vectors/fold/`, which every client runs, holds
them together. A fold changes nothing that it was given.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .items import Event, Json
from .logtail import append, iso, log_lines, take


def fold(channel: str, state: Json | None, event: Event) -> Json | None:
    """Return the state of the channel's entity after `event`; free messages change none."""
    entity, _, entity_id = channel.partition(":")
    folding = FOLDS.get(entity)
    if folding is None or event.free or event.type not in TYPES[entity]:
        return state
    event = replace(event, data=_readable(event.data))
    return folding(entity_id, dict(state) if state is not None else None, event)


def deployment(entity_id: str, state: Json | None, event: Event) -> Json:
    """Merge an update shallowly, or append log lines; time never runs backwards."""
    recorded = event.recorded
    if state is None:
        state = {
            "id": entity_id,
            "projectId": entity_id,
            "status": "pending",
            "progress": 0,
            "stage": "Initializing",
            "timestamp": recorded,
        }
    logs = take(state)
    if event.type == "deployment_log":
        lines = log_lines(event.data)
    else:
        given = event.data.get("logs")
        logs = list(given) if isinstance(given, list) else logs
        state.update({k: v for k, v in event.data.items() if k not in ("logs", "timestamp")})
        message = event.data.get("message")
        lines = [message] if isinstance(message, str) and message else []
    state["logs"] = append(logs, (f"[{iso(recorded)}] {line}" for line in lines))
    state["timestamp"] = max(_int(state.get("timestamp")), recorded)
    return state


def task(entity_id: str, state: Json | None, event: Event) -> Json:
    """Merge an event of a task; times are Unix seconds."""
    seconds = int(event.recorded / 1000)
    if state is None:
        state = {"id": entity_id, "status": "pending"}
    if event.type == "task_log":
        state["logs"] = append(take(state), log_lines(event.data))
    elif event.type == "task_progress":
        _copy(state, event.data, "progress", "message")
        if state.get("status") in ("pending", "assigned"):
            state["status"] = "running"
    elif event.type in STEPS:
        state["status"], copied, cleared = STEPS[event.type]
        _copy(state, event.data, *copied)
        state.update(dict.fromkeys(cleared))
    else:
        own = ("id", "created_at", "updated_at")
        state.update({k: v for k, v in event.data.items() if k not in own})
    if event.type == "task_created":
        state.setdefault("created_at", seconds)
    if event.type == "task_result":
        if not isinstance(event.data.get("status"), str):
            failed = event.data.get("error") is not None
            state["status"] = "failed" if failed else "completed"
        state.setdefault("result", None)
    state["updated_at"] = seconds
    return state


def agent(entity_id: str, state: Json | None, event: Event) -> Json:
    """Merge an agent's status; its name is its id until it says another."""
    state = state or {}
    state["agentId"] = entity_id
    state.setdefault("agentName", entity_id)
    state.update({k: v for k, v in event.data.items() if k != "agentId"})
    state["updated_at"] = event.recorded
    return state


def container(entity_id: str, state: Json | None, event: Event) -> Json:
    """Count lines and remember the last status."""
    if state is None:
        state = {"id": entity_id, "status": "starting", "lines": 0}
    if event.type == "log":
        state["lines"] = max(0, _int(state.get("lines"))) + 1
    _copy(state, event.data, *COPIED[event.type])
    if event.type == "complete":
        state["status"] = "failed" if _failure(event.data.get("exitCode")) else "completed"
    state["updated_at"] = event.recorded
    return state


STEPS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "task_assigned": ("assigned", ("attempt", "agent"), ()),
    "task_accepted": ("running", ("attempt", "agent"), ()),
    "task_released": ("pending", ("attempt",), ("agent",)),
    "task_cancelled": ("cancelled", ("attempt", "reason"), ()),
    "task_expired": ("expired", (), ()),
    "task_retried": ("pending", (), ("agent", "result", "reason")),
}
"""The steps of a task for one: its status, what is copied, what becomes null."""

COPIED: dict[str, tuple[str, ...]] = {
    "log": (),
    "status": ("status", "message"),
    "error": ("error", "code"),
    "complete": ("exitCode", "message", "duration"),
}
"""What a container's events say of its state."""

FOLDS: dict[str, Callable[[str, Json | None, Event], Json]] = {
    "deployment": deployment,
    "task": task,
    "agent": agent,
    "container": container,
}

TYPES: dict[str, frozenset[str]] = {
    "deployment": frozenset({"deployment_update", "deployment_log"}),
    "task": frozenset(
        {"task_created", "task_update", "task_log", "task_result", "task_progress", *STEPS}
    ),
    "agent": frozenset({"agent_status", "agent_update"}),
    "container": frozenset(COPIED),
}


def _copy(state: Json, data: Json, *keys: str) -> None:
    """Copy what is there."""
    state.update({key: data[key] for key in keys if key in data})


def _failure(code: Any) -> bool:
    """Whether an exit code, a number or its digits, is not 0."""
    if isinstance(code, str):
        return re.fullmatch(r"-?[0-9]*[1-9][0-9]*", code) is not None
    return isinstance(code, (int, float)) and not isinstance(code, bool) and code != 0


def _readable(value: Any) -> Any:
    """Read as the server's states do: half surrogate pairs and NUL become U+FFFD."""
    if isinstance(value, str):
        return _UNREADABLE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_readable(one) for one in value]
    if isinstance(value, dict):
        return {_readable(key): _readable(one) for key, one in value.items()}
    return value


_UNREADABLE = re.compile("[\x00\ud800-\udfff]")


def _int(value: Any) -> int:
    """Return a whole number; 0 for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
