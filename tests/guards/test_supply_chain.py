"""What others have made and we run: known to the byte, used, and under licences that allow it."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from infra.sbom import components

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "app").rglob("*.py"))
# Started by name in the README and the Dockerfile.
STARTED = {"uvicorn"}
# Free licences that ask for no more than to be named, and MPL-2.0, which asks for changes to its
# own files alone. Whoever adds one looks at what it asks for.
ALLOWED = {
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "PSF-2.0",
    "Unlicense",
}


def lock() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    return found


def declared() -> set[str]:
    """The distributions that the service asks for, by their normalised names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {normal(re.split(r"[^\w.-]", words)[0]) for words in project["dependencies"]}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported() -> Iterator[tuple[str, str]]:
    """Each distribution that a module of ours imports or takes files of, and that module."""
    owners = metadata.packages_distributions()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            for name in named(node):
                top = name.partition(".")[0]
                if top != "app" and top not in sys.stdlib_module_names:
                    (owner,) = set(owners[top])
                    yield normal(owner), str(path.relative_to(ROOT))


def named(node: ast.AST) -> list[str]:
    """The modules that a piece of code names."""
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom(level=0, module=str(module)):
            return [module]
        case ast.Call(func=ast.Attribute(attr="files"), args=[ast.Constant(value=str(module))]):
            return [module]
        case _:
            return []


def test_every_file_of_the_lock_has_its_sha256() -> None:
    packages = [package for package in lock() if package["source"] != {"virtual": "."}]
    assert len(packages) > 50
    for package in packages:
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        assert files, package["name"]
        for file in files:
            assert re.fullmatch(r"sha256:[0-9a-f]{64}", file.get("hash", "")), file


def test_the_lock_has_one_version_of_everything_and_all_of_it_from_the_index() -> None:
    names = [package["name"] for package in lock()]
    assert len(names) == len(set(names))
    sources = {tuple(package["source"]) for package in lock()}
    assert sources == {("registry",), ("virtual",)}


def test_every_dependency_is_imported_or_started() -> None:
    used = {owner for owner, _ in imported()}
    assert declared() - used == STARTED
    for path in ("README.md", "Dockerfile"):
        assert all(name in (ROOT / path).read_text() for name in STARTED)


def test_everything_that_is_imported_is_a_dependency() -> None:
    undeclared = {(owner, path) for owner, path in imported() if owner not in declared()}
    assert undeclared == set()


def test_every_licence_of_what_the_service_runs_on_is_allowed() -> None:
    found = components()
    assert len(found) >= len(declared())
    for component in found:
        words = set(re.findall(r"[\w.-]+", component.licence)) - {"AND", "OR"}
        assert words, component.name
        assert words <= ALLOWED, f"{component.name}: {component.licence}"


def test_the_readme_says_how_to_see_what_is_in_it_and_under_which_licences() -> None:
    section = (ROOT / "README.md").read_text().partition("\n## Security\n")[2].partition("\n## ")[0]
    for command in re.findall(r"python3 -m uv run python -m (infra\.sbom[ \w-]*)", section):
        done = subprocess.run(
            [sys.executable, "-m", *command.split()],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == 0, command
    assert "python -m infra.sbom --licences" in section
    assert "python -m infra.sbom >" in section
