"""The bill of materials: complete, of the lock's files, and the same bytes every time."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import uv

from infra.sbom import FILE, READ, ROOT, components, document, text, write

SERVER = ("uvicorn", "click", "h11")


@pytest.fixture(scope="module")
def exported() -> dict[str, Any]:
    """What uv makes of the same lock."""
    words = ["export", "--quiet", "--frozen", "--no-default-groups", "--format", "cyclonedx1.5"]
    done = subprocess.run(
        [uv.find_uv_bin(), *words], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of libraries, as far as they tell of themselves."""
    for component in components():
        there = metadata.distribution(component.name)
        kept = tmp_path / f"{component.name.replace('-', '_')}-{component.version}.dist-info"
        kept.mkdir()
        for name in ("METADATA", "WHEEL"):
            (kept / name).write_text(there.read_text(name) or "")
    return tmp_path


def of(folder: Path, name: str) -> Path:
    (found,) = folder.glob(f"{name}-[0-9]*.dist-info")
    return found


def change(path: Path, pattern: str, by: str) -> None:
    old = path.read_text()
    new = re.sub(pattern, by, old, flags=re.MULTILINE)
    assert new != old
    path.write_text(new)


def made(*words: str, seed: str = "0") -> str:
    done = subprocess.run(
        [sys.executable, "-m", "infra.sbom", *words],
        cwd=ROOT,
        env={"PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_it_lists_what_uv_lists_with_a_hash_of_the_lock(exported: dict[str, Any]) -> None:
    found = {one["purl"]: one for one in document(components())["components"]}
    expected = {one["purl"]: one for one in exported["components"]}
    assert found.keys() == expected.keys()
    for purl, one in found.items():
        assert purl == f"pkg:pypi/{one['name']}@{one['version']}"
        hashes = [
            (reference["url"], known)
            for reference in expected[purl]["externalReferences"]
            for known in reference["hashes"]
        ]
        (reference,), (own,) = one["externalReferences"], one["hashes"]
        assert (reference["url"], own) in hashes
        assert one["licenses"]


def test_what_development_needs_is_not_in_it() -> None:
    names = {component.name for component in components()}
    assert len(names) > 20
    assert not names & {"pytest", "uv", "httpx", "ruff", "aws-cdk-lib", "cdk-nag", "passerine"}


def test_it_is_the_same_in_every_process() -> None:
    assert made(seed="1") == made(seed="2") == text(components())


def test_it_tells_no_time_and_nothing_of_the_machine() -> None:
    shown = text(components())
    assert "timestamp" not in shown
    assert str(Path.home()) not in shown
    assert str(ROOT) not in shown
    assert sys.prefix not in shown
    hosts = set(re.findall(r'"https?://([^/"]+)', shown))
    assert hosts == {"files.pythonhosted.org", "cyclonedx.org"}


def test_its_serial_number_follows_from_its_content() -> None:
    first, *others = components()
    other = replace(first, sha256=64 * "0")
    serials = [document([one, *others])["serialNumber"] for one in (first, first, other)]
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", serials[0])
    assert serials[0] == serials[1] != serials[2]


def test_whatever_it_refers_to_is_in_it_and_everything_is_reached_from_the_service() -> None:
    found = document(components())
    edges = {one["ref"]: set(one["dependsOn"]) for one in found["dependencies"]}
    root = found["metadata"]["component"]["bom-ref"]
    assert edges.keys() == {root, *(one["bom-ref"] for one in found["components"])}
    reached: set[str] = set()
    waiting = {root}
    while waiting:
        reached |= waiting
        waiting = {ref for one in waiting for ref in edges[one]} - reached
    assert reached == edges.keys()


def test_a_bundle_holds_one_of_what_is_in_it(folder: Path) -> None:
    for name in SERVER:
        shutil.rmtree(of(folder, name))
    write(folder, without=SERVER)
    found = json.loads((folder / FILE).read_text())
    names = [one["name"] for one in found["components"]]
    assert names == [one.name for one in components() if one.name not in SERVER]


def test_a_library_left_out_is_not_in_it_though_it_is_installed() -> None:
    assert not {one.name for one in components(without=SERVER)} & set(SERVER)


def test_the_hash_is_of_the_file_for_the_machine_that_it_was_installed_for(folder: Path) -> None:
    wheel = of(folder, "cryptography") / "WHEEL"
    change(wheel, r"^Tag: .*$", "Tag: cp311-abi3-manylinux_2_34_aarch64")
    (here,) = [one for one in components() if one.name == "cryptography"]
    (there,) = [one for one in components(folder) if one.name == "cryptography"]
    assert there.url.endswith("-cp311-abi3-manylinux_2_34_aarch64.whl")
    assert there.sha256 in (ROOT / "uv.lock").read_text()
    assert there.sha256 != here.sha256


def test_the_hash_of_what_was_built_here_is_of_its_source(folder: Path) -> None:
    change(of(folder, "cffi") / "WHEEL", r"^Tag: .*$", "Tag: cp311-cp311-linux_riscv64")
    (built,) = [one for one in components(folder) if one.name == "cffi"]
    assert built.url.endswith(".tar.gz")


def test_a_library_that_is_missing_is_said(folder: Path) -> None:
    shutil.rmtree(of(folder, "pyjwt"))
    with pytest.raises(SystemExit, match="pyjwt is not installed"):
        components(folder)


def test_another_version_than_the_locks_is_said(folder: Path) -> None:
    change(of(folder, "pyjwt") / "METADATA", r"^Version: .*$", "Version: 1.0")
    with pytest.raises(SystemExit, match=r"pyjwt is installed as 1\.0 and locked as"):
        components(folder)


def test_a_library_without_a_licence_is_said(folder: Path) -> None:
    change(of(folder, "pyjwt") / "METADATA", r"^License-Expression: .*\n", "")
    with pytest.raises(SystemExit, match="pyjwt does not say what its licence is"):
        components(folder)


def test_a_licence_is_read_by_hand_only_where_the_library_does_not_say_it() -> None:
    for name in READ:
        assert metadata.metadata(name).get_all("License-Expression") is None


def test_the_licences_are_a_line_for_each_library() -> None:
    lines = made("--licences").splitlines()
    assert [line.split()[0] for line in lines] == [one.name for one in components()]
    assert all(re.fullmatch(r"[a-z0-9-]+ [0-9][^ ]*: \S.*", line) for line in lines)
