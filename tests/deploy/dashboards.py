#!/usr/bin/env python3
"""The dashboards' expressions, and the rules of the house about them.

As a program: every expression parses, everything has a title, a unit and the two variables, and every
alert has its section among the runbooks. As a module: `expressions`, for tests/deploy/live.py.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

import yaml

DEPLOY = pathlib.Path(__file__).parents[2] / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana/dashboards").glob("*.json"))
RULES = [DEPLOY / "prometheus" / name for name in ("rules.yml", "alerts.yml")]


def panels(dashboard):
    """The panels of a dashboard, those inside collapsed rows too."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels", [])
        else:
            yield panel


def expressions(interval):
    """(where, expression) of each target, the variables replaced by everything and `interval`."""
    for path in DASHBOARDS:
        dashboard = json.loads(path.read_text())
        for panel in panels(dashboard):
            for target in panel["targets"]:
                expr = target["expr"].replace("$__rate_interval", interval)
                expr = re.sub(r"\$(job|instance)\b", ".+", expr)
                yield f"{path.name}: {panel['title']}", expr


def rules():
    """Every rule of the groups."""
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from group["rules"]


def house_rules():
    """What is not as every dashboard and alert of ours is."""
    for path in DASHBOARDS:
        dashboard = json.loads(path.read_text())
        variables = [variable["name"] for variable in dashboard["templating"]["list"]]
        if variables != ["datasource", "job", "instance"]:
            yield f"{path.name}: variables {variables}"
        if dashboard["uid"] != f"fanfare-{path.stem}":
            yield f"{path.name}: uid {dashboard['uid']}"
        seen = set()
        for panel in panels(dashboard):
            where = f"{path.name}: {panel.get('title')!r}"
            if not panel.get("title") or panel["title"] in seen:
                yield f"{where}: needs a title of its own"
            seen.add(panel.get("title"))
            if panel["type"] != "heatmap" and not panel["fieldConfig"]["defaults"].get("unit"):
                yield f"{where}: has no unit"
            if panel["datasource"]["uid"] != "${datasource}":
                yield f"{where}: is bound to a data source"
            for target in panel["targets"]:
                expr = target["expr"]
                if 'job=~"$job",instance=~"$instance"' not in expr:
                    yield f"{where}: does not go by job and instance"
                if re.search(r"\[\d+[smh]\]", expr):
                    yield f"{where}: a fixed range; $__rate_interval follows the zoom"
                if panel["type"] == "timeseries" and not target["legendFormat"]:
                    yield f"{where}: has no legend"
    page = (DEPLOY / "README.md").read_text()
    for rule in rules():
        if "alert" not in rule:
            continue
        name = rule["alert"]
        anchor = rule["annotations"].get("runbook", "").removeprefix("deploy/README.md#")
        for part in ("summary", "description"):
            if not rule["annotations"].get(part):
                yield f"{name}: no {part}"
        if rule["labels"].get("severity") not in ("critical", "warning"):
            yield f"{name}: no severity"
        if anchor not in [heading.lower() for heading in re.findall(r"^#### (\w+)$", page, re.M)]:
            yield f"{name}: deploy/README.md has no section #### {anchor}"


def unparsable():
    """Expressions that promtool does not take, written as recording rules."""
    listed = [
        {"record": f"expression:{number}", "expr": expr}
        for number, (_, expr) in enumerate(expressions("5m"))
    ]
    groups = {"groups": [{"name": "dashboards", "rules": listed}]}
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        yaml.safe_dump(groups, file, width=1000)
        file.flush()
        checked = subprocess.run(["promtool", "check", "rules", file.name], capture_output=True, text=True)
    if checked.returncode:
        yield checked.stdout + checked.stderr
    elif not listed:
        yield "there is no expression"


if __name__ == "__main__":
    sys.exit("\n".join([*house_rules(), *unparsable()]) or 0)
