"""What can go wrong, and what a close code means for coming back (the contract's close codes)."""

from __future__ import annotations

from typing import Any, Literal

Verdict = Literal["retry", "token", "stop"]

DONE = 1000
LOST = 1006
UNAUTHORIZED = 4001
FORBIDDEN = 4003
SILENT = 4008

_MEANINGS = {
    1000: "done",
    1001: "the server is going away",
    1006: "the connection was lost",
    1008: "against the server's policy",
    1009: "a frame was too large",
    1011: "an internal error of the server",
    1012: "the server restarts",
    1013: "the server is over capacity",
    4001: "the token is missing, invalid or expired",
    4003: "forbidden",
    4008: "no sign of life",
    4009: "too many connections of this user",
}


class FanfareError(Exception):
    """Something that went wrong for good: a refused channel, a connection that may not come back.

    `code` is a close code (`4003`), an HTTP status (`429`) or the server's own word
    (`"forbidden"`); `details` are the server's, as they came.
    """

    def __init__(self, code: int | str, message: str, details: Any = None) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message
        self.details = details


class Closed(Exception):
    """A connection ended, or an attempt to open one failed."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason or meaning(code)


def verdict(code: int) -> Verdict:
    """Say whether to come back after a close: always with back-off, but for three codes."""
    if code == UNAUTHORIZED:
        return "token"
    return "stop" if code in (DONE, FORBIDDEN) else "retry"


def meaning(code: int) -> str:
    """Say a close code in words."""
    return _MEANINGS.get(code, f"closed with code {code}")
