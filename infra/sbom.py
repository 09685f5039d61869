"""The bill of materials of what was built: CycloneDX 1.6, the same bytes every time.

    python3 -m uv run python -m infra.sbom [FOLDER]     # of this environment, or of a bundle
    python3 -m uv run python -m infra.sbom --licences   # a line for each library

Versions and hashes are the lock's, licences those that the installed libraries declare; what only
development needs is not in it. It has no time, and its serial number follows from its content.
"""

import argparse
import json
import re
import sys
import tomllib
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib import metadata
from itertools import product
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PROJECT = "passerine"
FILE = "sbom.cdx.json"
SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
# What a library that declares no SPDX expression may say instead.
KNOWN_AS = {
    "Apache License 2.0": "Apache-2.0",
    "Apache-2.0": "Apache-2.0",
    "MIT": "MIT",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: The Unlicense (Unlicense)": "Unlicense",
}
# Read in the licence files of those whose metadata leave it open.
READ = {
    "jinja2": "BSD-3-Clause",
    "python-dateutil": "(Apache-2.0 AND BSD-3-Clause) OR BSD-3-Clause",
}
Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Component:
    """A library as it was installed.

    Attributes:
        licence: an SPDX expression.
        url: where the lock says that its file is.
        sha256: of that file, in hex.
        needs: the names of the libraries that it asks for, as far as they are here.
    """

    name: str
    version: str
    licence: str
    url: str
    sha256: str
    needs: tuple[str, ...]

    @property
    def purl(self) -> str:
        return f"pkg:pypi/{self.name}@{self.version}"


def components(folder: Path | None = None, *, without: Collection[str] = ()) -> list[Component]:
    """Every library that the service runs on, by name.

    Args:
        folder: where they are installed; this environment, if none is given.
        without: those that were left out on purpose.
    """
    packages, here = _locked(), _installed(folder)
    found: dict[str, Component] = {}
    waiting = list(_needs(packages[PROJECT], here, without))
    while waiting:
        name = waiting.pop()
        if name not in found:
            needs = tuple(_needs(packages[name], here, without))
            found[name] = _component(packages[name], here[name], needs)
            waiting += needs
    return [found[name] for name in sorted(found)]


def document(found: Collection[Component]) -> Json:
    """The bill of materials of some components."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    root = f"{project['name']}@{project['version']}"
    purls = {component.name: component.purl for component in found}
    direct = {needed["name"] for needed in _locked()[PROJECT]["dependencies"]}
    edges = {root: direct & purls.keys()}
    edges |= {component.purl: set(component.needs) for component in found}
    told: Json = {
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": project["name"],
                "version": project["version"],
                "description": project["description"],
                "licenses": _licences(project["license"]),
            }
        },
        "components": [_shown(component) for component in found],
        "dependencies": [
            {"ref": ref, "dependsOn": sorted(purls[name] for name in names)}
            for ref, names in sorted(edges.items())
        ],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(told, sort_keys=True))
    head = {"$schema": SCHEMA, "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1}
    return {**head, "serialNumber": serial.urn, **told}


def write(folder: Path, *, without: Collection[str] = ()) -> None:
    """Lay the bill of materials of a bundle into it."""
    (folder / FILE).write_text(text(components(folder, without=without)), "utf-8")


def text(found: Collection[Component]) -> str:
    return json.dumps(document(found), indent=1, ensure_ascii=False) + "\n"


def _shown(component: Component) -> Json:
    return {
        "type": "library",
        "bom-ref": component.purl,
        "name": component.name,
        "version": component.version,
        "purl": component.purl,
        "hashes": [{"alg": "SHA-256", "content": component.sha256}],
        "licenses": _licences(component.licence),
        "externalReferences": [{"type": "distribution", "url": component.url}],
    }


def _licences(expression: str) -> list[Json]:
    if " " in expression:
        return [{"expression": expression}]
    return [{"license": {"id": expression}}]


def _locked() -> dict[str, Json]:
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    return {package["name"]: package for package in lock["package"]}


def _installed(folder: Path | None) -> dict[str, metadata.Distribution]:
    path = sys.path if folder is None else [str(folder)]
    found = [*metadata.distributions(path=path)]
    # What stands first on the path is what Python imports.
    return {_normal(one.name): one for one in reversed(found)}


def _normal(name: str) -> str:
    """https://packaging.python.org/en/latest/specifications/name-normalization/."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _needs(package: Json, here: Collection[str], without: Collection[str]) -> Iterator[str]:
    """What a package asks for; only what a marker keeps away may be missing."""
    for needed in package.get("dependencies", []):
        name = needed["name"]
        if name in here and name not in without:
            yield name
        elif name not in without and "marker" not in needed:
            raise SystemExit(f"{name} is not installed. Run this with `python3 -m uv run`.")


def _component(package: Json, there: metadata.Distribution, needs: tuple[str, ...]) -> Component:
    name, version = package["name"], package["version"]
    if there.version != version:
        raise SystemExit(f"{name} is installed as {there.version} and locked as {version}.")
    file = _file(package, there)
    return Component(
        name=name,
        version=version,
        licence=_licence(name, there),
        url=file["url"],
        sha256=file["hash"].removeprefix("sha256:"),
        needs=needs,
    )


def _file(package: Json, there: metadata.Distribution) -> Json:
    """The locked file that was installed: the wheel of these tags, or else the source."""
    lines = (there.read_text("WHEEL") or "").splitlines()
    tags = {line.removeprefix("Tag: ") for line in lines if line.startswith("Tag: ")}
    fitting = [wheel for wheel in package.get("wheels", []) if tags & _tags(wheel["url"])]
    found: Json = fitting[0] if fitting else package["sdist"]
    return found


def _tags(url: str) -> set[str]:
    """https://packaging.python.org/en/latest/specifications/platform-compatibility-tags/."""
    parts = url.rpartition("/")[2].removesuffix(".whl").split("-")[-3:]
    return {"-".join(tag) for tag in product(*(part.split(".") for part in parts))}


def _licence(name: str, there: metadata.Distribution) -> str:
    if name in READ:
        return READ[name]
    told = there.metadata
    for expression in told.get_all("License-Expression") or ():
        return str(expression)
    for said in (*(told.get_all("License") or ()), *(told.get_all("Classifier") or ())):
        if said in KNOWN_AS:
            return KNOWN_AS[said]
    raise SystemExit(f"{name} does not say what its licence is: read it, and note it in READ.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--licences", action="store_true")
    given = parser.parse_args()
    listed = components(given.folder)
    if given.licences:
        lines = (f"{one.name} {one.version}: {one.licence}\n" for one in listed)
        sys.stdout.write("".join(lines))
    else:
        sys.stdout.write(text(listed))
