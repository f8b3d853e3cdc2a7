"""Writes the CycloneDX bill of materials of the executable: `cargo metadata` in, JSON out.

What is compiled into it counts: the crates that `fanfare` depends on, without those of tests and build scripts.
"""

import json
import sys

from cyclonedx.model import ExternalReference, ExternalReferenceType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation import make_schemabased_validator
from packageurl import PackageURL

metadata = json.load(sys.stdin)
packages = {package["id"]: package for package in metadata["packages"]}
nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
root = next(id for id in metadata["workspace_members"] if packages[id]["name"] == "fanfare")


def linked(id):
    """The packages that one is linked with: no dependency of tests or build scripts alone."""
    return [dep["pkg"] for dep in nodes[id]["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])]


def component(id):
    """A crate as the bill names it."""
    package = packages[id]
    kind = ComponentType.APPLICATION if id == root else ComponentType.LIBRARY
    places = [
        ExternalReference(type=ExternalReferenceType.VCS, url=XsUri(package["repository"]))
    ] if package.get("repository") else []
    # "MIT/Apache-2.0" is how crates wrote it before expressions.
    licence = [LicenseExpression(package["license"].replace("/", " OR "))] if package.get("license") else []
    return Component(
        type=kind, name=package["name"], version=package["version"], bom_ref=f"{package['name']}@{package['version']}",
        purl=PackageURL("cargo", None, package["name"], package["version"]), licenses=licence, external_references=places,
    )


components = {root: component(root)}
found, bom = [root], Bom()
bom.metadata.component = components[root]
for id in found:
    for other in linked(id):
        if other not in components:
            components[other] = component(other)
            bom.components.add(components[other])
            found.append(other)
for id in found:
    bom.register_dependency(components[id], [components[other] for other in linked(id)])

text = JsonV1Dot6(bom).output_as_string(indent=1)
wrong = make_schemabased_validator(OutputFormat.JSON, SchemaVersion.V1_6).validate_str(text)
if wrong:
    sys.exit(f"the bill of materials is not valid: {wrong}")
print(text)
