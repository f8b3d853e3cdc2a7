"""The examples and the README's first program run as they stand."""

import asyncio
import os
import re
import sys
from pathlib import Path

from double import Double

HOME = Path(__file__).resolve().parents[1]


async def start(*words: str, url: str) -> asyncio.subprocess.Process:
    environment = {**os.environ, "FANFARE_URL": url, "FANFARE_TOKEN": ""}
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, *words, env=environment, stdout=pipe, stderr=pipe
    )


async def output(process: asyncio.subprocess.Process) -> str:
    said, wrong = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, wrong.decode()
    return said.decode()


async def test_the_first_program_of_the_readme(fanfare_server):
    program = re.search(r"```python\n(.*?)```", (HOME / "README.md").read_text(), re.DOTALL)
    assert program is not None
    said = await output(await start("-c", program[1], url=fanfare_server.url))
    assert "deployment_update" in said
    assert "success" in said


async def test_a_build_is_followed_to_its_end(fanfare_server):
    said = await output(await start(str(HOME / "examples/follow.py"), url=fanfare_server.url))
    assert "100 % success" in said


async def test_the_agent_counts_words():
    async with Double() as double:
        process = await start(str(HOME / "examples/agent.py"), url=double.url)
        talk = await double.welcomed()
        assert (await talk.hear("agent-status"))["capabilities"] == ["count"]
        payload = {"texts": ["one two", "three"]}
        await talk.say({"type": "task", "taskId": "t", "taskType": "count", "payload": payload})
        assert (await talk.hear("task-result"))["result"] == {"words": 3}
        process.kill()
        await process.wait()
