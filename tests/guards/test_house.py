"""The rules of the house, checked over the code itself."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.events.types import Operation
from app.main import AREAS, MAILBOX, START
from app.settings import PREFIX, Settings
from app.web.access import KINDS, Anyone, DeploymentAdmin
from app.web.routes import Route, router

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "app").rglob("*.py"))
README = (ROOT / "README.md").read_text()
LONGEST_FILE = 350
LONGEST_FUNCTION = 40
TOP_LEVEL = {
    ".ci", ".dockerignore", ".gitignore", "CHANGELOG.md", "Dockerfile", "LICENSE", "README.md",
    "app", "cdk.json", "infra", "pyproject.toml", "tests", "uv.lock",
}  # fmt: skip


def every_route() -> Iterator[Route]:
    for one in (*AREAS, START, MAILBOX):
        yield from one.routes


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its signature and docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_every_route_says_who_may_call_it() -> None:
    assert {route.caller for route in every_route()} == set(KINDS.values())


def test_a_route_that_says_nobody_is_not_built() -> None:
    silent = router("Test")
    with pytest.raises(TypeError, match="must say who may call it"):

        @silent.get("/silent")
        def read() -> None: ...


def test_a_route_that_says_two_callers_is_not_built() -> None:
    undecided = router("Test")
    with pytest.raises(TypeError, match="must say who may call it"):

        @undecided.get("/undecided")
        def read(_: DeploymentAdmin, __: Anyone) -> None: ...


def test_the_import_rules_hold() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_setting_is_documented_and_none_is_invented() -> None:
    documented = set(re.findall(rf"^\| `({PREFIX}[A-Z_]+)`", README, re.MULTILINE))
    assert documented == {PREFIX + name.upper() for name in Settings.model_fields}


def test_every_event_is_documented_and_none_is_invented() -> None:
    table = README.partition("## Events")[2].partition("\n## ")[0]
    documented = re.findall(r"^\| `([a-zA-Z]+)` \|", table, re.MULTILINE)
    assert sorted(documented) == sorted(operation.value for operation in Operation)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST_FILE
    for function in functions(path):
        assert length(function) <= LONGEST_FUNCTION, f"{function.name} is too long"


def test_nothing_late_binds_or_mocks() -> None:
    for path in [*SOURCES, *sorted((ROOT / "tests").rglob("*.py"))]:
        if path == Path(__file__):
            continue
        text = path.read_text()
        for word in ("TYPE_CHECKING", "unittest.mock", "TODO", "FIXME"):
            assert word not in text, f"{word} in {path.name}"


def test_the_top_level_is_the_agreed_one() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert {name.partition("/")[0] for name in listed} <= TOP_LEVEL


def test_the_lock_names_the_public_index_alone() -> None:
    lock = (ROOT / "uv.lock").read_text()
    assert set(re.findall(r'registry = "([^"]+)"', lock)) == {"https://pypi.org/simple"}
    hosts = set(re.findall(r'url = "https://([^/"]+)', lock))
    assert hosts == {"files.pythonhosted.org"}
