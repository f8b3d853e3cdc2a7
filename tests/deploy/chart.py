#!/usr/bin/env python3
"""The Helm chart and the kustomize base, with a real Helm.

    chart.py check        lint, render, validate strictly; the base equals the default rendering
    chart.py write        writes the base anew from the chart, and the settings that there are into its schema
    chart.py everything   prints the rendering with all that the chart can do
    chart.py pod          prints what `podman kube play` needs of the gateway, all but the Secret
"""

import contextlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import helm_python
import yaml

KUBERNETES = pathlib.Path(__file__).parents[2] / "deploy/kubernetes"
CHART, BASE = KUBERNETES / "chart", KUBERNETES / "base"
SCHEMA = CHART / "values.schema.json"
SETTINGS = KUBERNETES.parents[1] / "shared/runtime/src/config/settings.toml"
EVERYTHING = pathlib.Path(__file__).with_name("everything.yaml")
# The oldest that the chart names, and the newest that the validator knows.
VERSIONS = ["1.30", "1.37"]
# What Helm's lint calls information, below warnings and errors.
INFORMATION = 1
HEAD = "# Rendered from ../chart with its default values by `tests/deploy/chart.py write`; a test keeps it equal.\n"


@contextlib.contextmanager
def chart_folder():
    """A copy of the chart with the files that its links lead to: Helm talks of each link that it follows."""
    with tempfile.TemporaryDirectory() as folder:
        yield shutil.copytree(CHART, pathlib.Path(folder) / "fanfare")


def render(values, release="fanfare"):
    """File of the chart → its objects."""
    with chart_folder() as folder, helm_python.Chart.load(folder) as chart:
        files = chart.render(values, name=release, namespace="fanfare")
    rendered = {}
    for path, text in sorted(files.items()):
        objects = [one for one in yaml.safe_load_all(text) if one] if path.endswith(".yaml") else []
        if objects:
            rendered[pathlib.Path(path).name] = objects
    return rendered


def plain(one):
    """An object without what only Helm gives it: namespace and manager."""
    one["metadata"].pop("namespace", None)
    labels = [one["metadata"].get("labels", {})]
    if template := one.get("spec", {}).get("template"):
        labels.append(template["metadata"]["labels"])
    for label in labels:
        label.pop("app.kubernetes.io/managed-by", None)
    return one


class Dumper(yaml.SafeDumper):
    """Lists indented below their key, as people write them."""

    def increase_indent(self, flow=False, indentless=False):
        return super().increase_indent(flow, False)


def dump(objects):
    """Objects as a YAML file."""
    parts = [yaml.dump(one, Dumper=Dumper, sort_keys=False, width=120) for one in objects]
    return "---\n".join(parts)


def base():
    """File → text of the kustomize base."""
    files = {name: HEAD + dump(map(plain, objects)) for name, objects in render(None).items()}
    index = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(files),
    }
    return {**files, "kustomization.yaml": HEAD + dump([index])}


def validate(rendered):
    """What the schemas of Kubernetes do not take."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(dump([one for objects in rendered.values() for one in objects]))
        file.flush()
        versions = [part for version in VERSIONS for part in ("-k", version)]
        command = ["kubernetes-validate", "--strict", "--quiet", "--no-warn", *versions, file.name]
        checked = subprocess.run(command, capture_output=True, text=True)
    if checked.returncode:
        yield checked.stdout + checked.stderr


def lint(values):
    """What Helm's own lint finds."""
    for version in VERSIONS:
        with chart_folder() as folder:
            report = helm_python.lint(folder, values, strict=True, kube_version=f"v{version}.0")
        for message in report.get("messages", []):
            if message["severity"] > INFORMATION:
                yield f"lint: {message}"


def refused(values):
    """Whether the schema of the values refuses some."""
    with chart_folder() as folder, helm_python.Chart.load(folder) as chart:
        try:
            chart.render(values, name="fanfare", namespace="fanfare")
        except helm_python.HelmError:
            return True
    return False


WRONG = [
    {"gateways": {"replicas": 3}},
    {"gateway": {"replicas": "three"}},
    {"settings": {"ENVIRONMENT": "development"}},
    {"settings": {"JWT_SECRET": "in a ConfigMap"}},
    {"settings": {"AUTH_TOKEN_PREVIOUS": "in a ConfigMap"}},
    {"settings": {"HUB_CACHE_BYTE": 1}},
    {"secret": {"create": True}},
    {"httpRoute": {"enabled": True}},
    {"ingress": {"enabled": True}},
    {"image": {"digest": "latest"}},
]


def names(rendered):
    """Kind and name of every object; selectors of Deployments are among the labels of their pods."""
    objects = [one for objects in rendered.values() for one in objects]
    listed = [(one["kind"], one["metadata"]["name"]) for one in objects]
    for one in objects:
        if one["kind"] == "Deployment":
            spec = one["spec"]
            pod = spec["template"]["spec"]
            assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
            drain = next(o for o in objects if o["kind"] == "ConfigMap" and "DRAIN_MS" in o["data"])
            assert pod["terminationGracePeriodSeconds"] * 1000 > int(drain["data"]["DRAIN_MS"]) + 15_000
    return listed


def check():
    """Everything that is wrong."""
    everything = yaml.safe_load(EVERYTHING.read_text())
    default, full = render(None), render(everything)
    for values, rendered in ((None, default), (everything, full)):
        yield from lint(values)
        yield from validate(rendered)
    for values in WRONG:
        if not refused(values):
            yield f"the schema of the values lets {values} through"
    listed = names(full)
    if len(set(listed)) != len(listed):
        yield f"two objects of one name: {sorted(listed)}"
    wanted = {"HorizontalPodAutoscaler", "ScaledObject", "PodMonitor", "PrometheusRule", "HTTPRoute", "Ingress",
              "NetworkPolicy", "PodDisruptionBudget", "Job", "Service", "Secret", "ConfigMap", "ServiceAccount", "Deployment"}
    if missing := wanted - {kind for kind, _ in listed}:
        yield f"not rendered: {missing}"
    for kind, name in names(render(None, release="blue")):
        if not name.startswith("blue-fanfare"):
            yield f"{kind} {name} of a release `blue` would meet those of another"
    scaled = next(one for one in full["worker.yaml"] if one["kind"] == "ScaledObject")
    if scaled["spec"]["maxReplicaCount"] != 5 * everything["ingestPartitions"]:
        yield "more workers than sources"
    settings = next(one for one in full["settings.yaml"] if one["kind"] == "ConfigMap")["data"]
    if settings["HUB_CACHE_BYTES"] != "268435456" or settings["MIGRATE"] != "off":
        yield f"not as they were given: {settings}"
    if known() != json.loads(SCHEMA.read_text())["definitions"]["plainSetting"]["enum"]:
        yield "values.schema.json does not know the settings that there are: tests/deploy/chart.py write"
    yield from equal()


def known():
    """The settings that may stand in a ConfigMap: no secrets, and none of those that the chart sets itself."""
    names = re.findall(r"^(\w+) = ", SETTINGS.read_text(), re.MULTILINE)
    secret = re.compile(r"(SECRET|_API_KEY|_API_KEYS|^API_KEYS|TOKEN|REDIS_URL|DATABASE_URL)(_PREVIOUS)?$")
    own = {"ENVIRONMENT", "ADMIN_LISTEN", "DRAIN_MS", "INGEST_PARTITIONS"}
    return sorted(name for name in map(str.upper, names) if name not in own and not secret.search(name))


def write_known():
    """Names the settings that there are in the schema of the values."""
    line = f'"plainSetting": {{"enum": {json.dumps(known())}}},'
    SCHEMA.write_text(re.sub(r'"plainSetting": \{"enum": \[.*\]\},', line, SCHEMA.read_text()))


def equal():
    """Where the base differs from the chart, or kustomize from the base."""
    written = {path.name: path.read_text() for path in BASE.glob("*.yaml")}
    for name, text in base().items():
        if written.pop(name, None) != text:
            yield f"deploy/kubernetes/base/{name} is not what the chart renders: tests/deploy/chart.py write"
    for name in written:
        yield f"deploy/kubernetes/base/{name}: the chart renders no such file"
    if not knows_kustomize():
        print("tests/deploy: no kubectl of 1.21 or later here: kustomize itself is not asked", file=sys.stderr)
        return
    built = kustomize(BASE)
    rendered = [plain(one) for objects in render(None).values() for one in objects]
    key = lambda one: (one["kind"], one["metadata"]["name"])
    if sorted(built, key=key) != sorted(rendered, key=key):
        yield "kubectl kustomize does not give what the chart renders"
    overlay = kustomize(KUBERNETES / "overlays/example")
    yield from validate({"overlay": overlay})
    if {one["metadata"].get("namespace") for one in overlay} != {"live"}:
        yield "the example overlay leaves objects outside its namespace"


def knows_kustomize():
    """Whether there is a kubectl that understands today's kustomizations; Debian 12 has 1.20."""
    if not shutil.which("kubectl"):
        return False
    asked = subprocess.run(["kubectl", "version", "--client", "-o", "json"], capture_output=True, text=True)
    version = json.loads(asked.stdout or "{}").get("clientVersion", {})
    return int(version.get("minor", "0").rstrip("+")) >= 21


def kustomize(folder):
    """The objects that kustomize makes of a folder."""
    built = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=True)
    return [one for one in yaml.safe_load_all(built.stdout) if one]


def pod():
    """The gateway's Deployment with its settings, one replica, of the local image."""
    image = {"repository": "localhost/fanfare", "tag": "local", "pullPolicy": "Never"}
    rendered = render({"image": image, "gateway": {"replicas": 1}})
    objects = [one for name in ("settings.yaml", "gateway.yaml") for one in rendered[name]]
    return dump([one for one in objects if one["kind"] in ("ConfigMap", "Deployment")])


def main():
    command = sys.argv[1] if len(sys.argv) == 2 else ""
    if command == "check":
        sys.exit("\n".join(check()) or 0)
    if command == "write":
        write_known()
        BASE.mkdir(exist_ok=True)
        for path in BASE.glob("*.yaml"):
            path.unlink()
        for name, text in base().items():
            (BASE / name).write_text(text)
    elif command == "everything":
        rendered = render(yaml.safe_load(EVERYTHING.read_text()))
        print(dump([one for objects in rendered.values() for one in objects]))
    elif command == "pod":
        print(pod())
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
