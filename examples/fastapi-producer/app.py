"""A service that deploys, and says how it goes: POST /deploys/shop."""

import asyncio
import json
import os
from contextlib import asynccontextmanager

import redis.asyncio as redis
from fastapi import BackgroundTasks, FastAPI

STAGES = [(20, "Installing dependencies"), (60, "Building"), (90, "Moving traffic")]


@asynccontextmanager
async def lifespan(app: FastAPI):
    """One connection for the life of the service: port 6380 is Fanfare's own, in production it is your Redis."""
    app.state.redis = redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6380"))
    yield
    await app.state.redis.aclose()


app = FastAPI(lifespan=lifespan)


async def tell(deployment: str, **data):
    """Append an event: whoever watches the deployment sees it within milliseconds."""
    fields = {"type": "deployment_update", "id": deployment, "data": json.dumps(data)}
    await app.state.redis.xadd("fanfare:deployments", fields)


async def deploy(deployment: str):
    """Do the work, here a made-up one."""
    for progress, stage in STAGES:
        await tell(deployment, status="building", progress=progress, stage=stage, message=stage)
        await asyncio.sleep(0.3)
    await tell(deployment, status="success", progress=100, message="Deployed")


@app.post("/deploys/{deployment}", status_code=202)
async def begin(deployment: str, background: BackgroundTasks):
    """Begin a deployment; where to watch it."""
    background.add_task(deploy, deployment)
    return {"channel": f"deployment:{deployment}"}
