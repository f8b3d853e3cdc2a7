"""The fold: event by event from one state of an entity to the next, by the server's own rules.

The rules live in `shared/src/event/*.rs`; `tests/vectors/fold/`, which every client runs, holds
them together. A fold changes nothing that it was given.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

from .items import Event, Json

LOG_LINES_MAX = 100
"""The most log lines that a state keeps."""
LOG_BYTES_MAX = 128 * 1024
"""The most bytes of log lines that a state keeps; older lines go first."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def fold(channel: str, state: Json | None, event: Event) -> Json | None:
    """Return the state of the channel's entity after `event`; free messages change none."""
    entity, _, entity_id = channel.partition(":")
    folding = FOLDS.get(entity)
    if folding is None or event.free or event.type not in TYPES[entity]:
        return state
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
    logs = _take_logs(state)
    if event.type == "deployment_log":
        lines = _log_lines(event.data)
    else:
        given = event.data.get("logs")
        logs = list(given) if isinstance(given, list) else logs
        state.update({k: v for k, v in event.data.items() if k not in ("logs", "timestamp")})
        message = event.data.get("message")
        lines = [message] if isinstance(message, str) and message else []
    state["logs"] = _append(logs, (f"[{_iso(recorded)}] {line}" for line in lines))
    state["timestamp"] = max(_int(state.get("timestamp")), recorded)
    return state


def task(entity_id: str, state: Json | None, event: Event) -> Json:
    """Merge an event of a task; times are Unix seconds."""
    seconds = int(event.recorded / 1000)
    if state is None:
        state = {"id": entity_id, "status": "pending"}
    if event.type == "task_log":
        state["logs"] = _append(_take_logs(state), _log_lines(event.data))
    else:
        own = ("id", "created_at", "updated_at")
        state.update({k: v for k, v in event.data.items() if k not in own})
    if event.type == "task_created":
        state.setdefault("created_at", seconds)
    if event.type == "task_result":
        if "status" not in event.data:
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
    copied = {
        "status": ("status", "message"),
        "error": ("error", "code"),
        "complete": ("exitCode", "message", "duration"),
    }
    if event.type == "log":
        state["lines"] = max(0, _int(state.get("lines"))) + 1
    state.update({k: event.data[k] for k in copied.get(event.type, ()) if k in event.data})
    if event.type == "complete":
        state["status"] = "failed" if _int(event.data.get("exitCode")) else "completed"
    state["updated_at"] = event.recorded
    return state


FOLDS: dict[str, Callable[[str, Json | None, Event], Json]] = {
    "deployment": deployment,
    "task": task,
    "agent": agent,
    "container": container,
}

TYPES: dict[str, frozenset[str]] = {
    "deployment": frozenset({"deployment_update", "deployment_log"}),
    "task": frozenset({"task_created", "task_update", "task_log", "task_result"}),
    "agent": frozenset({"agent_status", "agent_update"}),
    "container": frozenset({"log", "status", "error", "complete"}),
}


def _int(value: Any) -> int:
    """Return a whole number; 0 for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _iso(ms: int) -> str:
    try:
        time = _EPOCH + timedelta(milliseconds=ms)
    except OverflowError:
        time = _EPOCH
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03d}Z"


def _log_lines(data: Json) -> list[str]:
    lines = data.get("lines")
    if isinstance(lines, list):
        return [_text(line) for line in lines]
    return [_text(data["message"])] if "message" in data else []


def _text(value: Any) -> str:
    return (
        value
        if isinstance(value, str)
        else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    )


def _take_logs(state: Json) -> list[Any]:
    logs = state.get("logs")
    if isinstance(logs, str):
        # Lines as the server cuts them: at line feeds, with or without a carriage return.
        lines = [line[:-1] if line.endswith("\r") else line for line in logs.split("\n")]
        return lines[:-1] if logs.endswith("\n") or not logs else lines
    return list(logs) if isinstance(logs, list) else []


def _append(logs: list[Any], lines: Iterable[str]) -> list[Any]:
    """Append to a log tail and keep it within its bounds."""
    logs = [*logs, *lines][-LOG_LINES_MAX:]
    sizes = [len(line.encode()) if isinstance(line, str) else 64 for line in logs]
    excess = sum(sizes) - LOG_BYTES_MAX
    while excess > 0 and len(logs) > 1:
        excess -= sizes.pop(0)
        del logs[0]
    if excess > 0 and logs and isinstance(logs[0], str):
        logs[0] = logs[0].encode()[:LOG_BYTES_MAX].decode("utf-8", "ignore")
    return logs
