"""The jobs of an agent, and the frames that speak of them (the contract's "Agents")."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Union

from .errors import FanfareError
from .items import Json
from .job import Job
from .session import Session

log = logging.getLogger("fanfare")

Handler = Callable[[Job], Union[Any, Awaitable[Any]]]
"""Works on a job: what it returns is the result, what it raises is the failure."""

UNSAID_MAX = 1000
"""Lines and progress that wait for a connection; the oldest go first."""
FRAME_BYTES = 4 * 1024 * 1024
"""The largest frame of an agent, where the server names no other limit."""


class Desk:
    """Takes tasks, works on them, and keeps each result until the server has recorded it."""

    def __init__(
        self,
        capabilities: list[str],
        slots: int,
        metadata: Json,
        refuse: Callable[[Job], str | None] | None,
    ) -> None:
        self.work: Handler | None = None
        self._capabilities = capabilities
        self._metadata = {**metadata, "slots": slots, "accepts": True, "cancels": True}
        self._refuse = refuse
        self._jobs: dict[str, Job] = {}
        self._owed: dict[str, Json] = {}
        self._unsaid: deque[Json] = deque(maxlen=UNSAID_MAX)
        self._session: Session | None = None
        self._acknowledged: Session | None = None
        self._heard = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._refusal: asyncio.Future[FanfareError] | None = None

    async def watch(self) -> FanfareError:
        """Stop work whose grace is over, until the server refuses us; that is returned."""
        self._loop = asyncio.get_running_loop()
        self._refusal = self._loop.create_future()
        while not self._refusal.done():
            now = time.monotonic()
            if self._session is not None:
                self._heard = max(self._heard, self._session.heard)
            graces = [job.grace for job in self._jobs.values() if job.grace is not None]
            for job in list(self._jobs.values()):
                if job.grace is not None and now - self._heard >= job.grace:
                    job.stop("lost")
            await asyncio.wait([self._refusal], timeout=min([1.0, *(g / 20 for g in graces)]))
        return self._refusal.result()

    def stop(self, why: str) -> None:
        """Stop all work."""
        for job in list(self._jobs.values()):
            job.stop(why)

    def query(self, session: Session) -> list[tuple[str, str]]:
        """Ask for nothing: agents need both directions."""
        return []

    def ready(self, session: Session) -> None:
        """Say who we are and what we still run, then what was done or said meanwhile."""
        self._session = session
        self._heard = max(self._heard, session.heard)
        held = [*(job.name for job in self._jobs.values()), *map(_named, self._owed.values())]
        metadata = {**self._metadata, "running": [one for one in held if "attempt" in one]}
        said: Json = {"type": "agent-status", "status": "online", "metadata": metadata}
        session.send({**said, "capabilities": self._capabilities})
        for frame in [*self._unsaid, *self._owed.values()]:
            session.send(frame)
        self._unsaid.clear()

    def hear(self, session: Session, frame: Json) -> None:
        """Take a frame of the server."""
        match frame.get("type"):
            case "task" if isinstance(frame.get("taskId"), str):
                self._take(Job(frame, self._say))
            case "task-cancel":
                self._cancel(frame)
            case "task-recorded":
                if _same(self._owed.get(frame["taskId"]), frame):
                    del self._owed[frame["taskId"]]
            case "ack":
                self._acknowledged = session
            case "ping":
                session.send({"type": "pong", "timestamp": frame.get("timestamp")})
            case "error":
                log.warning("agent: the server refused a frame: %s", frame.get("message"))

    def lost(self, session: Session) -> None:
        """Go on without a connection: the jobs have their grace."""
        if session is self._session:
            self._heard = max(self._heard, session.heard)
            self._session = None

    def settled(self, session: Session) -> bool:
        """Whether the server of `session` knows us; the one before is needed until then."""
        return self._acknowledged is session

    def tick(self, session: Session) -> None:
        """Ask for signs of life while work depends on them."""
        graces = [job.grace for job in self._jobs.values() if job.grace is not None]
        session.ping_every = min(graces) / 3 if graces else None

    def end(self, error: FanfareError) -> None:
        """Pass the refusal on to whoever runs the agent."""
        if self._refusal is not None and not self._refusal.done():
            self._refusal.set_result(error)

    def _take(self, job: Job) -> None:
        known = self._jobs.get(job.id)
        if known is not None:
            if known.attempt == job.attempt:
                return  # Sent again: it is in hand.
            known.stop("stale")
        owed = self._owed.get(job.id)
        if _same(owed, job.name) and owed is not None:
            return self._say(owed)
        self._owed.pop(job.id, None)
        reason = self._refuse(job) if self._refuse is not None else None
        if reason is not None:
            return job.tell("task-reject", {"reason": reason})
        job.tell("task-accept", {})
        self._jobs[job.id] = job
        job.task = asyncio.create_task(self._do(job))
        if self._session is not None:
            self.tick(self._session)

    async def _do(self, job: Job) -> None:
        """Work, and say what came of it; what was stopped is nobody's any more."""
        try:
            outcome = await self._result(job)
        finally:
            if self._jobs.get(job.id) is job:
                del self._jobs[job.id]
        if job.cancelled is not None:
            return
        frame = {"type": "task-result", **job.name, **outcome}
        if job.attempt is not None:
            self._owed[job.id] = frame
        self._say(frame)

    async def _result(self, job: Job) -> Json:
        work = self.work
        assert work is not None
        try:
            if inspect.iscoroutinefunction(work):
                result = await work(job)
            else:
                result = await asyncio.to_thread(work, job)
            size = len(json.dumps(result))
        except Exception as error:
            log.info("agent: task %s failed: %r", job.id, error)
            return {"status": "failed", "result": {"error": str(error) or type(error).__name__}}
        limit = self._session.welcome.frame_bytes if self._session is not None else 0
        if size > (limit or FRAME_BYTES) - 1024:
            return {"status": "failed", "result": {"error": "too_large"}}
        return {"status": "completed", "result": result}

    def _cancel(self, frame: Json) -> None:
        task_id = frame.get("taskId", "")
        job = self._jobs.get(task_id)
        if job is not None and _same(job.name, frame):
            del self._jobs[task_id]
            job.stop(str(frame.get("reason")))
        if _same(self._owed.get(task_id), frame):
            del self._owed[task_id]

    def _say(self, frame: Json) -> None:
        """Send a frame, from whichever thread; what cannot be sent now waits."""
        if self._loop is not None and not _inside(self._loop):
            self._loop.call_soon_threadsafe(self._say, frame)
        elif self._session is not None:
            self._session.send(frame)
        elif frame["type"] != "task-result" or "attempt" not in frame:
            self._unsaid.append(frame)  # A result of an attempt is owed anyway.


def _named(frame: Json) -> Json:
    return {key: frame[key] for key in ("taskId", "attempt") if key in frame}


def _same(held: Json | None, frame: Json) -> bool:
    """Whether two frames speak of the same attempt of the same task."""
    return held is not None and _named(held) == _named(frame)


def _inside(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
