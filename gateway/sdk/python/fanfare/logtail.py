"""The log tail of a state: the newest lines, bounded in number and bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

from .items import Json

LOG_LINES_MAX = 100
"""The most log lines that a state keeps."""
LOG_BYTES_MAX = 128 * 1024
"""The most bytes of log lines that a state keeps; older lines go first."""
OTHER_LINE_BYTES = 64
"""What counts for a line that is no text."""
LATEST_MS = 253_370_764_799_999
"""The last time that is written as such."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def iso(ms: int) -> str:
    """Write a time as `2026-11-20T10:30:51.123Z`; 1970 for what is none."""
    time = _EPOCH + timedelta(milliseconds=ms if 0 <= ms <= LATEST_MS else 0)
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03d}Z"


def log_lines(data: Json) -> list[str]:
    """Return the lines of a log event: `lines`, else `message`."""
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


def take(state: Json) -> list[Any]:
    """Return the lines of a state, whatever stands there."""
    logs = state.get("logs")
    if isinstance(logs, str):
        # Lines as the server cuts them: at line feeds, with or without a carriage return.
        lines = [line[:-1] if line.endswith("\r") else line for line in logs.split("\n")]
        return lines[:-1] if logs.endswith("\n") or not logs else lines
    return list(logs) if isinstance(logs, list) else []


def append(logs: list[Any], lines: Iterable[str]) -> list[Any]:
    """Append to a log tail and keep it within its bounds."""
    logs = [*logs, *lines][-LOG_LINES_MAX:]
    sizes = [len(line.encode()) if isinstance(line, str) else OTHER_LINE_BYTES for line in logs]
    excess = sum(sizes) - LOG_BYTES_MAX
    while excess > 0 and len(logs) > 1:
        excess -= sizes.pop(0)
        del logs[0]
    if excess > 0 and logs and isinstance(logs[0], str):
        logs[0] = logs[0].encode()[:LOG_BYTES_MAX].decode("utf-8", "ignore")
    return logs
