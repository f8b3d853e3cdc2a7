"""The fold, by the vectors that every client runs, and by a few of its own."""

import json
from pathlib import Path

import pytest

from fanfare import Event, fold

VECTORS = Path(__file__).resolve().parents[4] / "tests" / "vectors" / "fold"


def cases():
    for file in sorted(VECTORS.glob("*.json")):
        said = json.loads(file.read_text())
        many = said if isinstance(said, list) else said.get("cases", [said])
        for index, case in enumerate(many):
            if case["entity"] in ("deployment", "task", "agent", "container"):
                yield pytest.param(case, id=f"{file.stem}-{case.get('name', index)}")


def event(kind: str, data: dict, recorded: int = 5000, **what: object) -> Event:
    return Event("c", "p", kind, "x", data, recorded, recorded, **what)  # type: ignore[arg-type]


@pytest.mark.parametrize("case", [*cases()])
def test_a_vector(case):
    said = case["event"]
    entity_id = case.get("id", said["id"])
    channel = f"{case['entity']}:{entity_id}"
    at, recorded = said.get("at", 0), case["recorded"]
    taken = Event(channel, "p", said["type"], said["id"], said.get("data", {}), at, recorded)
    assert fold(channel, case["state"], taken) == case["result"]


def test_a_deployment_stamps_its_lines_and_keeps_time():
    state = fold("deployment:d", None, event("deployment_update", {"message": "one"}))
    state = fold("deployment:d", state, event("deployment_log", {"lines": ["two"]}, 4000))
    assert state["logs"] == ["[1970-01-01T00:00:05.000Z] one", "[1970-01-01T00:00:04.000Z] two"]
    assert state["timestamp"] == 5000


def test_a_task_whose_logs_are_a_text_keeps_its_lines():
    state = fold("task:t", {"logs": "one\r\ntwo\n"}, event("task_log", {"message": "three"}))
    assert state["logs"] == ["one", "two", "three"]
    state = fold("task:t", state, event("task_result", {"error": "x"}))
    assert (state["status"], state["result"]) == ("failed", None)


def test_an_exit_code_may_be_a_text():
    for code, status in (("0", "completed"), ("2", "failed"), ("x", "completed")):
        assert fold("container:c", None, event("complete", {"exitCode": code}))["status"] == status
    state = fold("container:c", {"lines": 3}, event("log", {"message": "x"}))
    assert state["lines"] == 4


def test_log_lines_are_bounded_in_number_and_bytes():
    lines = [f"{n}" + "ä" * 1500 for n in range(90)]
    state = fold("task:t", None, event("task_log", {"lines": lines}))
    assert sum(len(line.encode()) for line in state["logs"]) <= 128 * 1024
    assert state["logs"][-1] == lines[-1]
    state = fold("task:t", None, event("task_log", {"lines": ["ä" * 100_000]}))
    assert len(state["logs"][0].encode()) == 128 * 1024


def test_free_messages_and_feeds_are_not_folded_and_nothing_given_is_changed():
    before = {"status": "idle"}
    assert fold("agent:a", before, event("agent_status", {"status": "x"}, free=True)) is before
    assert fold("agents", None, event("agent_status", {"status": "x"})) is None
    after = fold("agent:a", before, event("agent_status", {"status": "busy"}))
    assert before == {"status": "idle"}
    assert after == {
        "status": "busy", "agentId": "a", "agentName": "a", "updated_at": 5000
    }  # fmt: skip
