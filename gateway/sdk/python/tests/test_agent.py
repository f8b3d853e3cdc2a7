"""The agent against a server that speaks the contract's agent frames (a double, for now)."""

import asyncio
import contextlib

import pytest
from double import Conversation, Double

from fanfare import Agent, Backoff, FanfareError, Job

FAST = Backoff(0.01, 0.05)


def agent(double: Double, **options: object) -> Agent:
    return Agent(double.url, token="t", backoff=FAST, **options)  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def running(one: Agent):
    run = asyncio.create_task(one.run())
    try:
        yield run
    finally:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)


async def ready(double: Double) -> tuple[Conversation, dict]:
    talk = await double.welcomed()
    status = await talk.hear("agent-status")
    await talk.say({"type": "ack", "message": "Status updated"})
    return talk, status


def task(attempt: int | None = 1, **what: object) -> dict:
    frame = {"type": "task", "taskId": "t1", "taskType": "codex", "payload": {"n": 2}, **what}
    return frame if attempt is None else {**frame, "attempt": attempt, "graceMs": 30000}


async def test_it_says_what_it_can_accepts_reports_and_answers():
    async with Double() as double:
        one = agent(double, capabilities=["build"], slots=2, metadata={"os": "linux"})

        @one.handler
        async def work(job: Job) -> dict:
            job.log("one", "two")
            job.progress(0.5, "half")
            return {"sum": job.payload["n"] + job.dependencies[0].result, "type": job.type}

        async with running(one):
            talk, status = await ready(double)
            assert talk.headers["Authorization"] == "Bearer t"
            assert status["capabilities"] == ["build"]
            assert status["metadata"] == {
                "os": "linux", "slots": 2, "accepts": True, "cancels": True, "running": []
            }  # fmt: skip
            await talk.say(task(dependencies=[{"taskId": "t0", "result": 3}]))
            name = {"taskId": "t1", "attempt": 1}
            assert await talk.hear("task-accept") == {"type": "task-accept", **name}
            assert (await talk.hear("task-log"))["lines"] == ["one", "two"]
            assert (await talk.hear("task-progress"))["progress"] == 0.5
            result = await talk.hear("task-result")
            assert result["status"] == "completed"
            assert result["result"] == {"sum": 5, "type": "codex"}
        assert (await talk.hear("agent-status"))["status"] == "offline"


async def test_a_failure_is_a_result_and_a_handler_may_be_a_plain_function():
    async with Double() as double:
        one = agent(double)

        @one.handler
        def work(job: Job) -> None:
            job.progress(0.1)
            raise RuntimeError("no disk")

        async with running(one):
            talk, _ = await ready(double)
            await talk.say(task(attempt=None))
            result = await talk.hear("task-result")  # A task for all knows no accept or progress.
            assert result == {
                "type": "task-result", "taskId": "t1", "status": "failed",
                "result": {"error": "no disk"},
            }  # fmt: skip


async def test_a_result_is_sent_again_until_it_is_recorded():
    async with Double() as double:
        one = agent(double)

        @one.handler
        async def work(job: Job) -> int:
            return 7

        async with running(one):
            talk, _ = await ready(double)
            await talk.say(task())
            await talk.hear("task-accept")
            first = await talk.hear("task-result")
            await talk.cut()
            talk, status = await ready(double)
            assert status["metadata"]["running"] == [{"taskId": "t1", "attempt": 1}]
            assert await talk.hear("task-result") == first
            await talk.say(task())  # It is sent again, as the server did not know.
            assert await talk.hear("task-result") == first
            await talk.say({"type": "task-recorded", "taskId": "t1", "attempt": 1})
            await asyncio.sleep(0.1)
            await talk.cut()
            talk, status = await ready(double)
            assert status["metadata"]["running"] == []
            await talk.silence()


async def test_work_goes_on_over_a_reconnection():
    async with Double() as double:
        one = agent(double)
        go = asyncio.Event()

        @one.handler
        async def work(job: Job) -> str:
            await go.wait()
            return "done"

        async with running(one):
            talk, _ = await ready(double)
            await talk.say(task(attempt=3))
            await talk.hear("task-accept")
            await talk.cut()
            talk, status = await ready(double)
            assert status["metadata"]["running"] == [{"taskId": "t1", "attempt": 3}]
            await talk.say(task(attempt=3))  # Known: it is not begun twice.
            await talk.silence()
            go.set()
            assert (await talk.hear("task-result"))["attempt"] == 3
            await talk.silence()


async def test_a_cancelled_job_ends_without_a_word():
    async with Double() as double:
        one = agent(double)
        jobs: list[Job] = []
        ended = asyncio.Event()

        @one.handler
        async def work(job: Job) -> None:
            jobs.append(job)
            try:
                await asyncio.sleep(60)
            finally:
                ended.set()

        async with running(one):
            talk, _ = await ready(double)
            await talk.say(task())
            await talk.hear("task-accept")
            cancel = {"type": "task-cancel", "taskId": "t1", "reason": "cancelled"}
            await talk.say({**cancel, "attempt": 9})  # Of another attempt.
            await talk.silence(0.1)
            assert not ended.is_set()
            await talk.say({**cancel, "attempt": 1})
            await asyncio.wait_for(ended.wait(), 5)
            assert jobs[0].cancelled == "cancelled"
            await talk.silence()
            await talk.say(task(attempt=2))
            assert (await talk.hear("task-accept"))["attempt"] == 2


async def test_a_job_may_be_refused():
    async with Double() as double:
        one = agent(double, refuse=lambda job: "no codex here" if job.type == "codex" else None)

        @one.handler
        async def work(job: Job) -> None:
            raise AssertionError("begun")

        async with running(one):
            talk, _ = await ready(double)
            await talk.say(task())
            assert (await talk.hear("task-reject"))["reason"] == "no codex here"


async def test_it_pings_and_stops_work_when_nothing_answers_for_the_grace():
    async with Double() as double:
        one = agent(double)
        stopped = asyncio.Event()

        @one.handler
        async def work(job: Job) -> None:
            try:
                await asyncio.sleep(60)
            finally:
                stopped.set()

        async with running(one):
            talk, _ = await ready(double)
            loop = asyncio.get_running_loop()
            await talk.say({**task(), "graceMs": 1500})
            await talk.hear("task-accept")
            await talk.hear("ping")
            await talk.say({"type": "pong"})
            heard = loop.time()
            await talk.hear("ping")
            assert loop.time() - heard < 1.4
            await asyncio.wait_for(stopped.wait(), 5)
            assert 1.2 < loop.time() - heard < 3
            await talk.cut()
            _, status = await ready(double)
            assert status["metadata"]["running"] == []


async def test_at_a_drain_it_opens_the_next_socket_first():
    async with Double() as double:
        one = agent(double)
        go = asyncio.Event()

        @one.handler
        async def work(job: Job) -> None:
            await go.wait()

        async with running(one):
            old, _ = await ready(double)
            await old.say(task())
            await old.hear("task-accept")
            await old.say({"type": "bye", "reason": "x", "reconnect": True, "after_ms": 50})
            new, status = await ready(double)
            assert status["metadata"]["running"] == [{"taskId": "t1", "attempt": 1}]
            await old.over()
            go.set()
            await new.hear("task-result")


async def test_a_result_that_is_too_large_is_a_failure():
    async with Double() as double:
        one = agent(double)

        @one.handler
        async def work(job: Job) -> str:
            return "x" * 10_000

        async with running(one):
            talk = await double.welcomed(limits={"frame_bytes": 9000})
            await talk.hear("agent-status")
            await talk.say(task())
            await talk.hear("task-accept")
            assert (await talk.hear("task-result"))["result"] == {"error": "too_large"}


async def test_an_agent_that_is_refused_ends():
    async with Double() as double:
        one = agent(double)
        one.handler(lambda job: None)
        async with running(one) as run:
            await (await double.conversation()).close(4003)
            with pytest.raises(FanfareError):
                await run
