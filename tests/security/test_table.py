"""The table of README.md names tests that exist, and every case that a test here is named by."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TESTS = HERE.parent
ROW = re.compile(r"^\| ([A-Z]{3})-(\d\d)(?: to \1-(\d\d))? \| (.*) \| (.+) \|$")
NAMED = re.compile(r"`([\w/]+\.py)(?:::(\w+))?`(?: \(([A-Z]{3})-(\d\d)\))?")
OWN = re.compile(r"test_([a-z]{3})_(\d\d)_")


@cache
def rows() -> list[re.Match[str]]:
    lines = (HERE / "README.md").read_text().splitlines()
    found = [ROW.match(line) for line in lines if re.match(r"\| [A-Z]{3}-", line)]
    matched = [row for row in found if row is not None]
    assert len(matched) == len(found) > 200
    return matched


@cache
def functions(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def _cases(row: re.Match[str]) -> set[str]:
    first, last = int(row[2]), int(row[3] or row[2])
    return {f"{row[1]}-{number:02}" for number in range(first, last + 1)}


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row[1]}-{row[2]}")
def test_a_row_names_tests_that_exist(row: re.Match[str]) -> None:
    for file, function, group, number in NAMED.findall(f"{row[4]} {row[5]}"):
        own = "/" not in file
        path = HERE / file if own else TESTS / file
        assert path.is_file(), file
        if function:
            assert function in functions(path), function
        elif own and row[3] is None:
            start = f"test_{(group or row[1]).lower()}_{number or row[2]}_"
            assert any(name.startswith(start) for name in functions(path)), start
    assert row[4] or row[5].startswith("not covered: ")


def test_no_case_has_two_rows() -> None:
    cases = [case for row in rows() for case in _cases(row)]
    assert len(cases) == len(set(cases))


def test_every_case_that_a_test_is_named_by_has_its_row() -> None:
    cases = {case for row in rows() for case in _cases(row)}
    for path in sorted(HERE.glob("test_*.py")):
        for group, number in OWN.findall(" ".join(functions(path))):
            assert f"{group.upper()}-{number}" in cases, path.name
