#!/usr/bin/env python3
"""What a schema cannot say of docker-compose.yml; `deploy/secrets` comes in on standard input."""

import re
import sys

import yaml

problems = []
text = open("docker-compose.yml").read()
stack = yaml.safe_load(text)

for name, service in stack["services"].items():
    for key, value in {"read_only": True, "cap_drop": ["ALL"]}.items():
        if service.get(key) != value:
            problems.append(f"{name}: {key} is not {value}")
    if "no-new-privileges:true" not in service.get("security_opt", []):
        problems.append(f"{name}: may gain privileges")
    if str(service.get("user", "root")).split(":")[0] in ("", "0", "root"):
        problems.append(f"{name}: runs as root")
    if "healthcheck" not in service and name != "grafana":
        problems.append(f"{name}: has no health check")
    for port in service.get("ports", []):
        if "127.0.0.1:" not in port:
            problems.append(f"{name}: {port} is not on loopback by default")

for name in ("gateway", "worker"):
    service = stack["services"][name]
    if service["healthcheck"]["test"][1:] != ["/usr/local/bin/fanfare", "healthcheck"]:
        problems.append(f"{name}: is not asked by `fanfare healthcheck`")
    if not int(service["stop_grace_period"].rstrip("s")) > 40:
        problems.append(f"{name}: is killed before DRAIN_MS and the last writes are over")

# Every variable has a default, or deploy/secrets writes it.
written = dict(line.split("=", 1) for line in sys.stdin.read().splitlines() if re.match(r"[A-Z_]+=", line))
for variable, rest in re.findall(r"(?<!\$)\$\{([A-Z_]+)([^}]*)\}", text):
    if not rest.startswith(":-") and variable not in written:
        problems.append(f"{variable} has neither a default nor a line in deploy/env.example")
for secret in ("JWT_SECRET", "REDIS_PASSWORD", "POSTGRES_PASSWORD", "GRAFANA_PASSWORD"):
    if not re.fullmatch(r"[0-9a-f]{64}", written.get(secret, "")):
        problems.append(f"deploy/secrets does not make {secret}")
if not re.fullmatch(r"operator:[0-9a-f]{64}", written.get("API_KEYS", "")):
    problems.append("deploy/secrets does not make API_KEYS")
example = open("deploy/env.example").read()
if re.search(r"^(\w*(SECRET|KEYS?|PASSWORD|TOKEN))=.+", example, re.M):
    problems.append("deploy/env.example holds a secret")

sys.exit("\n".join(problems) or 0)
