"""Tests are `async` functions; each runs in a loop of its own, with a deadline."""

import asyncio
import inspect

import pytest

pytest_plugins = ["fanfare.testing"]

DEADLINE_S = 90


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}

    async def within() -> None:
        await asyncio.wait_for(pyfuncitem.obj(**arguments), DEADLINE_S)
        await asyncio.sleep(0)
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, f"left running: {left}"

    asyncio.run(within())
    return True
