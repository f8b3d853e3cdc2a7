#!/usr/bin/env python3
"""Every expression of dashboards and recording rules gives data.

Two gateways and two workers in production mode, Redis and PostgreSQL, a real Prometheus that scrapes
them, people who watch, events, a dead letter, a position of another database, tokens that are refused.
Then every expression is asked for until it answers, and every metric that a rule or a dashboard names
is one that the processes export. FANFARE_BIN, else target/debug/fanfare.
"""

import contextlib
import json
import os
import pathlib
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml

import dashboards

ROOT = pathlib.Path(__file__).parents[2]
FANFARE = os.environ.get("FANFARE_BIN") or ROOT / "target/debug/fanfare"
PATIENCE = 90
# A window of rates: several scrapes, one a second.
WINDOW = "15s"


def port():
    """A free port."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def program(name):
    """Where Debian puts a program."""
    folders = [os.environ["PATH"], "/usr/sbin", *map(str, pathlib.Path("/usr/lib/postgresql").glob("*/bin"))]
    found = shutil.which(name, path=":".join(folders))
    return found or sys.exit(f"tests/deploy: {name} is missing; run tests/install")


class Stage:
    """Processes in a folder of their own; all end with it, the last one first."""

    def __init__(self, folder):
        self.folder = folder
        self.ending = contextlib.ExitStack()

    def start(self, name, *command, env=None, user=None, quick=signal.SIGTERM):
        """Starts a process; what it says goes to NAME.log."""
        log = open(self.folder / f"{name}.log", "wb")
        env = {**os.environ, **(env or {})}
        process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log, cwd=self.folder, env=env, user=user)
        self.ending.callback(log.close)
        self.ending.callback(self.end, process, quick)
        return process

    @staticmethod
    def end(process, quick):
        """Asks a process to end, and insists after ten seconds."""
        if process.poll() is None:
            process.send_signal(quick)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait(what, until, seconds=30):
    """Waits for a condition; what stays wrong is said."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, urllib.error.URLError, ValueError):
            if until():
                return
        time.sleep(0.2)
    sys.exit(f"tests/deploy: {what} did not happen within {seconds} s")


def get(url):
    """The body of a GET."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read()


def services(stage):
    """Redis and PostgreSQL; their URLs."""
    redis, sql = port(), port()
    stage.start("redis", program("redis-server"), "--port", redis, "--bind", "127.0.0.1", "--save", "", "--dir", stage.folder)
    # PostgreSQL refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else None
    data = stage.folder / "sql"
    data.mkdir()
    if user:
        shutil.chown(data, user)
        stage.folder.chmod(0o755)
    initdb = [program("initdb"), "-D", data, "-U", "fanfare", "-A", "trust", "--no-sync", "-E", "UTF8"]
    subprocess.run(initdb, check=True, user=user, cwd=data, stdout=subprocess.DEVNULL)
    stage.start("postgres", program("postgres"), "-D", data, "-p", sql, "-k", data, "-h", "127.0.0.1", user=user, quick=signal.SIGINT)
    wait("PostgreSQL's start", lambda: socket.create_connection(("127.0.0.1", sql), 1))
    return {"REDIS_URL": f"redis://127.0.0.1:{redis}", "DATABASE_URL": f"postgres://fanfare@127.0.0.1:{sql}/postgres"}


def processes(stage, settings):
    """Two gateways and two workers; the addresses of the first gateway, and of everybody's metrics."""
    jobs = {"fanfare-gateway": [], "fanfare-worker": []}
    public = None
    for role in ("gateway", "worker", "gateway", "worker"):
        listen, admin = f"127.0.0.1:{port()}", f"127.0.0.1:{port()}"
        jobs[f"fanfare-{role}"].append(admin)
        public = public or listen
        name = f"{role}-{len(jobs[f'fanfare-{role}'])}"
        stage.start(name, FANFARE, role, env={**settings, "LISTEN": listen, "ADMIN_LISTEN": admin})
    for admins in jobs.values():
        for admin in admins:
            wait(f"readiness at {admin}", lambda: get(f"http://{admin}/readyz"))
    return f"http://{public}", jobs


def prometheus(stage, jobs):
    """Prometheus with our rules, each second instead of each fifteen; its URL."""
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    for job in config["scrape_configs"]:
        del job["dns_sd_configs"]
        job["static_configs"] = [{"targets": jobs.pop(job["job_name"])}]
    assert not jobs, f"nobody scrapes {jobs}"
    for path in dashboards.RULES:
        groups = yaml.safe_load(path.read_text())
        for group in groups["groups"]:
            group["interval"] = "1s"
        (stage.folder / path.name).write_text(yaml.safe_dump(groups))
    (stage.folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{port()}"
    stage.start(
        "prometheus", program("prometheus"), "--config.file=prometheus.yml",
        f"--storage.tsdb.path={stage.folder / 'tsdb'}", f"--web.listen-address={address}",
    )
    wait("Prometheus's start", lambda: get(f"http://{address}/-/ready"))
    return f"http://{address}"


def life(stage, settings, url):
    """People who watch, and what they see; the quiet panels get something too."""
    key = settings["API_KEYS"].split(":")[1]
    client = {**settings, "FANFARE_URL": url, "FANFARE_TOKEN": key}
    for channel in ("deployments", "tasks", "agents", "broadcast"):
        stage.start(f"watch-{channel}", FANFARE, "watch", channel, env=client)
    stage.start("demo", FANFARE, "demo", "--rate", 60, env=client)
    redis = settings["REDIS_URL"].rsplit(":", 1)[1]

    def ask_redis(*command):
        subprocess.run([program("redis-cli"), "-p", redis, *command], check=True, stdout=subprocess.DEVNULL)

    def rare():
        # No id: a dead letter. No subscription for a moment: a hole. A position of another database: a
        # gap. No token: a close with 4001.
        ask_redis("XADD", "fanfare:tasks", "*", "type", "task_update")
        ask_redis("CLIENT", "KILL", "TYPE", "pubsub")
        stage.start("gap", FANFARE, "watch", "deployments", "--since", "00000000-7", env=client)
        stage.start("refused", FANFARE, "watch", "tasks", env={**client, "FANFARE_TOKEN": "x.y.z"})
        for _ in range(10):
            guess(url)

    return rare


def guess(url):
    """Somebody elsewhere, by way of a trusted proxy, tries a credential."""
    headers = {"X-Forwarded-For": "203.0.113.9", "Authorization": "Bearer guess"}
    with contextlib.suppress(urllib.error.HTTPError):
        urllib.request.urlopen(urllib.request.Request(f"{url}/v1/channels/tasks", headers=headers), timeout=5)


def ask(base, expr):
    """The finite values of an expression."""
    query = urllib.parse.urlencode({"query": expr})
    answer = json.loads(get(f"{base}/api/v1/query?{query}"))
    values = [one["value"][1] for one in answer["data"]["result"]]
    return [value for value in values if value not in ("NaN", "+Inf", "-Inf")]


def unanswered(base, wanted):
    """The expressions without data."""
    return [(where, expr) for where, expr in wanted if not ask(base, expr)]


def unknown_metrics(base):
    """Metrics that dashboards and rules name and nobody exports."""
    exported = set(json.loads(get(f"{base}/api/v1/label/__name__/values"))["data"])
    texts = [expr for _, expr in dashboards.expressions(WINDOW)] + [rule["expr"] for rule in dashboards.rules()]
    named = {name for text in texts for name in re.findall(r"(?<![:\w])(?:fanfare|process)_[a-z_]+", text)}
    return sorted(named - exported - {rule.get("record") for rule in dashboards.rules()})


def main():
    """Plays until everything answers."""
    if not pathlib.Path(FANFARE).exists():
        sys.exit(f"tests/deploy: {FANFARE} is not built: cargo build, or FANFARE_BIN")
    with tempfile.TemporaryDirectory(prefix="fanfare-live-") as folder:
        stage = Stage(pathlib.Path(folder))
        with stage.ending:
            secret = {"JWT_SECRET": secrets.token_hex(32), "API_KEYS": f"operator:{secrets.token_hex(32)}"}
            limits = {"TRUSTED_PROXIES": "127.0.0.1", "ADDRESS_FAILURES_PER_MINUTE": "5", "DRAIN_MS": "2000"}
            settings = {**services(stage), **secret, **limits, "ENVIRONMENT": "production"}
            url, jobs = processes(stage, settings)
            base = prometheus(stage, jobs)
            rare = life(stage, settings, url)
            wanted = list(dashboards.expressions(WINDOW))
            wanted += [("rules.yml", rule["record"]) for rule in dashboards.rules() if "record" in rule]
            deadline = time.monotonic() + PATIENCE
            missing = wanted
            while missing and time.monotonic() < deadline:
                rare()
                time.sleep(3)
                missing = unanswered(base, missing)
            problems = [f"{where}: no data: {expr}" for where, expr in missing]
            problems += [f"nobody exports {name}" for name in unknown_metrics(base)]
            if problems and (kept := os.environ.get("FANFARE_KEEP")):
                shutil.copytree(folder, kept, dirs_exist_ok=True, ignore=shutil.ignore_patterns("sql", "tsdb"))
            sys.exit("\n".join(problems) or print(f"{len(wanted)} expressions gave data"))


if __name__ == "__main__":
    main()
