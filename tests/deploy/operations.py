#!/usr/bin/env python3
"""What deploy/README.md says about Redis users, about restoring a backup and about erasing, tried.

A restored database gives no number twice: a client that comes with a position of the lost one is told by a
gap, and what Redis still holds is recorded anew. What was erased is in no table. FANFARE_BIN as always.
"""

import contextlib
import json
import pathlib
import re
import secrets
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

from live import FANFARE, ROOT, Stage, port, program, services, wait

# Nobody else says this.
WORDS = "the-quick-brown-fox"


class Installation:
    """A gateway and a worker on a database and a Redis of their own."""

    def __init__(self, folder):
        self.stage = Stage(pathlib.Path(folder))
        self.key = secrets.token_hex(32)
        address = port()
        self.url = f"http://127.0.0.1:{address}"
        self.settings = {
            **services(self.stage), "ENVIRONMENT": "production", "JWT_SECRET": secrets.token_hex(32),
            "API_KEYS": f"operator:{self.key}", "DRAIN_MS": "1000", "LISTEN": f"127.0.0.1:{address}",
            "FANFARE_URL": self.url, "FANFARE_TOKEN": self.key,
        }
        self.redis = self.settings["REDIS_URL"]
        self.settings["REDIS_URL"] = self.as_user("fanfare")
        self.database = self.settings["DATABASE_URL"].replace("/postgres", "/fanfare")
        self.maintenance = self.settings["DATABASE_URL"]
        self.settings["DATABASE_URL"] = self.database
        wait("a connection to PostgreSQL", lambda: self.sql("CREATE DATABASE fanfare", self.maintenance) is not None)

    def as_user(self, name):
        """Makes a user of Redis as the page says; its URL."""
        page = (ROOT / "deploy/README.md").read_text()
        rules = re.search(rf"^    ACL SETUSER ({name} on >PASSWORD .+)$", page, re.M)[1]
        wait("a user of Redis", lambda: self.ask_redis("ACL", "SETUSER", *rules.split()) == "OK")
        return self.redis.replace("redis://", f"redis://{name}:PASSWORD@")

    def ask_redis(self, *command, url=None):
        """What redis-cli prints for a command."""
        asked = [program("redis-cli"), "--no-auth-warning", "-u", url or self.redis, *command]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()

    @contextlib.contextmanager
    def running(self):
        """Gateway and worker, until the end of the block."""
        processes = Stage(self.stage.folder)
        with processes.ending:
            for role in ("worker", "gateway"):
                admin = f"127.0.0.1:{port()}"
                processes.start(role, FANFARE, role, env={**self.settings, "ADMIN_LISTEN": admin})
                wait(f"readiness of the {role}", lambda: self.get("/readyz", base=f"http://{admin}"))
            yield

    def get(self, path, base=None):
        """A GET with the operator's key."""
        request = urllib.request.Request((base or self.url) + path, headers={"X-API-Key": self.key})
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.loads(answer.read())

    def publish(self, stream, kind, id, data, **more):
        """Publishes and returns the position in the first channel."""
        event = {"stream": stream, "type": kind, "id": id, "data": data, **more}
        headers = {"X-API-Key": self.key, "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/v1/publish", json.dumps(event).encode(), headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())["published"][0]["position"]

    def run(self, name, *arguments):
        """One of PostgreSQL's programs; what it prints, or none when it fails."""
        done = subprocess.run([program(name), *map(str, arguments)], capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else print(done.stderr, file=sys.stderr)

    def sql(self, statement, database=None):
        """What psql prints for a statement."""
        return self.run("psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement, database or self.database)

    def watch(self, channel, since):
        """The three frames after the welcome of somebody who comes back."""
        command = [FANFARE, "watch", "--json", channel, "--since", since]
        with subprocess.Popen(command, env=self.settings, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as watcher:
            frames = [json.loads(watcher.stdout.readline()) for _ in range(4)]
            watcher.kill()
        return frames[1:]


def restore(place):
    """A backup is restored into the same server."""
    backup = place.stage.folder / "backup"
    with place.running():
        for number in range(1, 4):
            place.publish("deployments", "deployment_update", "d1", {"number": number})
        assert place.run("pg_dump", "-Fc", "-f", backup, place.database) is not None
        for number in range(4, 6):
            old = place.publish("deployments", "deployment_update", "d1", {"number": number})
    # The same server: the epoch has to be told apart by hand.
    assert place.sql("DROP DATABASE fanfare", place.maintenance) is not None
    assert place.sql("CREATE DATABASE fanfare", place.maintenance) is not None
    assert place.run("pg_restore", "-d", place.database, backup) is not None
    assert place.sql("UPDATE identity SET id = gen_random_uuid()::text") is not None
    with place.running():
        numbers = lambda: [event["data"]["number"] for event in place.get("/v1/channels/deployment:d1/events")["events"]]
        wait("what Redis still has is recorded anew", lambda: numbers() == [1, 2, 3, 4, 5])
        new = place.get("/v1/channels/deployment:d1")["position"]
        assert new.split("-")[0] != old.split("-")[0], f"{new} looks like a position of the lost database, {old}"
        frames = place.watch("deployment:d1", old)
        gap = next(frame for frame in frames if frame["type"] == "gap")
        assert gap["cause"] == "epoch", gap
        assert any(frame["type"] == "state" and frame["state"]["number"] == 5 for frame in frames), frames


def erase(place):
    """Everything about a user and about a deployment is erased."""
    with place.running():
        place.publish("messages", "notification", "ann", {"level": "info", "message": WORDS})
        place.publish("messages", "anything", "ann", {"text": WORDS})
        place.publish("deployments", "deployment_update", "d2", {"message": WORDS}, user="ann")
        last = place.publish("deployments", "deployment_update", "d2", {"status": "building"})
        with contextlib.suppress(urllib.error.HTTPError):
            place.publish("agents", "alert", "ann", {"severity": WORDS})
        wrong = json.dumps({"severity": WORDS})
        place.ask_redis("XADD", "fanfare:agents", "*", "type", "alert", "id", "a1", "user", "ann", "data", wrong)
        wait("a dead letter", lambda: place.get("/v1/dead")["dead"])
        assert WORDS in place.run("pg_dump", "--data-only", place.database)
        for whose in (("--user", "ann"), ("--deployment", "d2")):
            subprocess.run([FANFARE, "erase", *whose], env=place.settings, check=True, stdout=subprocess.DEVNULL)
    left = [line for line in place.run("pg_dump", "--data-only", "--inserts", place.database).splitlines() if WORDS in line]
    assert not left, left
    with place.running():
        events = place.get("/v1/channels/user:ann/events")["events"]
        assert len(events) == 3 and all(event["data"] == {"erased": True} for event in events), events
        assert place.get("/v1/channels/deployment:d2")["position"] == last
        frames = place.watch("deployment:d2", last.split("-")[0] + "-0")
        assert [frame["type"] for frame in frames] == ["subscribed", "event", "event"], frames


def users(place):
    """Fanfare was refused nothing; a producer may append to its stream and nothing else."""
    assert place.ask_redis("ACL", "LOG") == "", place.ask_redis("ACL", "LOG")
    builder = place.as_user("builder")
    event = ("*", "type", "deployment_update", "id", "d3")
    assert "-" in place.ask_redis("XADD", "fanfare:deployments", *event, url=builder)
    assert "NOPERM" in place.ask_redis("XADD", "fanfare:tasks", *event, url=builder)
    assert "NOPERM" in place.ask_redis("XRANGE", "fanfare:deployments", "-", "+", url=builder)


def main():
    """All of it, on one installation."""
    with tempfile.TemporaryDirectory(prefix="fanfare-operations-") as folder:
        place = Installation(folder)
        with place.stage.ending:
            restore(place)
            erase(place)
            users(place)
    print("users of Redis, a restored backup and an erased user are as the page says")


if __name__ == "__main__":
    main()
