"""Real servers for tests: `pytest_plugins = ["fanfare.testing"]` brings `fanfare_server`.

The executable is the one that `FANFARE_BIN` names, else `fanfare` on the PATH. A server keeps its
records in SQLite in a folder of its own; it needs no other service.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

READY_S = 60.0


class Server:
    """One process of the gateway with its worker; a context manager.

    `kill` and `drain` end it; `start` starts it again at the same address with the same records.
    """

    def __init__(self, home: Path | None = None, **settings: str) -> None:
        self._own_home = home is None
        self.home = home or Path(tempfile.mkdtemp(prefix="fanfare-"))
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Server:
        """Start it and wait until it is ready."""
        settings = {
            "PATH": os.environ.get("PATH", ""),
            "PORT": str(self.port),
            "DATABASE_URL": f"sqlite://{self.home}/fanfare.db",
            # It takes XADD itself, but not beside a Redis of its own.
            "EMBEDDED_REDIS_LISTEN": "off" if "REDIS_URL" in self.settings else "127.0.0.1:0",
            "LOG_LEVEL": "warn",
            "DRAIN_MS": "3000",
            # What a test run marks its processes with.
            **{key: value for key, value in os.environ.items() if key.startswith("FANFARE_TEST")},
            **self.settings,
        }
        self._log = (self.home / "stderr").open("ab")
        self._process = subprocess.Popen(
            [executable()], cwd=self.home, env=settings, stdout=subprocess.DEVNULL, stderr=self._log
        )
        end = time.monotonic() + READY_S
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                said = (self.home / "stderr").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"fanfare did not start: {said}")
            time.sleep(0.05)
        return self

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self._end(signal.SIGKILL)

    def drain(self, wait: bool = True) -> None:
        """Ask it to end: it sends everybody elsewhere first."""
        if wait:
            return self._end(signal.SIGTERM)
        if self._process is not None:
            self._process.terminate()

    def token(self, sub: str, *arguments: str, **settings: str) -> str:
        """Make a token that this server accepts (`fanfare token`)."""
        words = [executable(), "token", "--sub", sub, *arguments]
        environment = {"PATH": os.environ.get("PATH", ""), **self.settings, **settings}
        return subprocess.run(
            words, env=environment, check=True, capture_output=True, text=True
        ).stdout.strip()

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()
        if self._own_home:
            shutil.rmtree(self.home, ignore_errors=True)

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False).is_success
        except httpx.HTTPError:
            return False

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._log.close()
            self._process = None


def executable() -> str:
    """Return where the executable is."""
    found = os.environ.get("FANFARE_BIN") or shutil.which("fanfare")
    if found is None:
        raise RuntimeError("no executable: set FANFARE_BIN or put fanfare on the PATH")
    return found


@pytest.fixture
def fanfare_server(tmp_path: Path) -> Iterator[Server]:
    """A running server of the test's own."""
    with Server(tmp_path) as server:
        yield server


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
