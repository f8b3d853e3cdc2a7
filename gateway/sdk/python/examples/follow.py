"""Plays a build and follows it to its end: python examples/follow.py [DEPLOYMENT]."""

import asyncio
import os
import sys

from fanfare import Client, Event, Gap, Publication, Subscribed

STAGES = [("building", 10), ("building", 60), ("deploying", 90), ("success", 100)]


async def build(client: Client, deployment: str) -> None:
    """Publish what a builder would."""
    for status, progress in STAGES:
        data = {"status": status, "progress": progress, "message": f"{status}: {progress} %"}
        await client.publish(
            Publication("deployments", "deployment_update", deployment, data, lease_ms=60_000)
        )


async def main(deployment: str) -> None:
    """Show each event until the deployment has ended."""
    url = os.environ.get("FANFARE_URL", "http://127.0.0.1:8080")
    async with Client(url, token=os.environ.get("FANFARE_TOKEN")) as client:
        builder: asyncio.Task[None] | None = None
        async with client.subscribe(f"deployment:{deployment}") as sub:
            async for item in sub:
                state = sub.state or {}
                match item:
                    case Subscribed() if builder is None:
                        builder = asyncio.create_task(build(client, deployment))
                    case Event():
                        print(f"{state['progress']:>3} % {state['status']}: {state['logs'][-1]}")
                    case Gap():
                        print(f"no longer kept: {item.first} to {item.last}")
                if state.get("status") in ("success", "error", "abandoned"):
                    break
        if builder is not None:
            await builder


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "example-1"))
