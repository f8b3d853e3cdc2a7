"""An agent that counts words: it takes tasks, tells how far it is, and gives a result."""

import asyncio
import os

from fanfare import Agent, Job

agent = Agent(
    os.environ.get("FANFARE_URL", "http://127.0.0.1:8080"),
    token=os.environ["FANFARE_TOKEN"],
    capabilities=["count"],
    slots=2,
)


@agent.handler
async def count(job: Job) -> dict[str, int]:
    """Count the words of each text."""
    texts, words = job.payload["texts"], 0
    for done, text in enumerate(texts, 1):
        words += len(text.split())
        job.progress(done / len(texts), f"{done} of {len(texts)} texts")
        await asyncio.sleep(0.1)  # Where a cancelled task stops.
    return {"words": words}


if __name__ == "__main__":
    asyncio.run(agent.run())
