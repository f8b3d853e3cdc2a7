"""An agent that counts words: FANFARE_TOKEN=… python examples/agent.py."""

import asyncio
import os

from fanfare import Agent, Job

agent = Agent(
    os.environ.get("FANFARE_URL", "http://127.0.0.1:8080"),
    token=os.environ.get("FANFARE_TOKEN"),
    capabilities=["count"],
    slots=4,
)


@agent.handler
async def count(job: Job) -> dict[str, int]:
    """Count the words of each text."""
    texts = job.payload.get("texts", [])
    words = 0
    for done, text in enumerate(texts, 1):
        words += len(text.split())
        job.progress(done / len(texts), f"{done} of {len(texts)} texts")
        await asyncio.sleep(0)  # Where a cancelled job stops.
    return {"words": words}


if __name__ == "__main__":
    asyncio.run(agent.run())
