"""The function's code: small, the same every time, and alive under Lambda's Python."""

import hashlib
import json
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from infra.bundle import SERVER, bundle
from infra.sbom import FILE
from tests.cdk import lambdas_python

MEGABYTE = 1_000_000
ASK = """
import json
from app.lambda_handler import handler
event = {"version": "2.0", "rawPath": "/nowhere", "rawQueryString": "",
         "headers": {"host": "auth.example.com"},
         "requestContext": {"http": {"method": "GET", "path": "/nowhere", "sourceIp": "192.0.2.1"}}}
print(json.dumps(handler(event, None)))
"""


@pytest.fixture(scope="module")
def python() -> str:
    return lambdas_python()


@pytest.fixture(scope="module")
def arm(tmp_path_factory: pytest.TempPathFactory, python: str) -> Path:
    return bundle(tmp_path_factory.mktemp("arm") / "code", python=python)


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_two_builds_are_the_same(arm: Path, tmp_path: Path, python: str) -> None:
    assert files(bundle(tmp_path / "again", python=python)) == files(arm)


def test_it_is_small_with_its_bytecode(arm: Path, tmp_path: Path) -> None:
    assert sum(path.stat().st_size for path in arm.rglob("*") if path.is_file()) < 60 * MEGABYTE
    sources = list(arm.rglob("*.py"))
    compiled = list(arm.rglob("*.pyc"))
    assert len(compiled) == len(sources)
    packed = tmp_path / "code.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(arm.rglob("*")):
            archive.write(path, path.relative_to(arm))
    assert packed.stat().st_size < 20 * MEGABYTE


def test_its_libraries_are_those_of_the_platform(arm: Path) -> None:
    libraries = [*arm.rglob("*.so"), *arm.rglob("*.so.*")]
    assert len(libraries) >= 4
    for library in libraries:
        head = library.read_bytes()[:20]
        assert head[:4] == b"\x7fELF"
        assert int.from_bytes(head[18:20], "little") == 183, library.name  # EM_AARCH64


def test_nothing_of_the_machine_that_built_it_is_in_it(arm: Path) -> None:
    here = str(arm).encode()
    named = [path for path in arm.rglob("*") if path.is_file() and here in path.read_bytes()]
    assert named == []


def test_it_says_what_it_is_made_of(arm: Path) -> None:
    told = json.loads((arm / FILE).read_text())["components"]
    there = {one.name: one.version for one in metadata.distributions(path=[str(arm)])}
    found = {name.lower().replace("_", "-"): version for name, version in there.items()}
    assert {one["name"]: one["version"] for one in told} == found
    assert not set(SERVER) & found.keys()
    urls = [one["externalReferences"][0]["url"] for one in told]
    built = [url for url in urls if not url.endswith("none-any.whl")]
    assert len(built) >= 4
    assert all("manylinux" in url and "aarch64" in url for url in built)


def test_it_answers(tmp_path: Path, python: str) -> None:
    code = bundle(tmp_path / "code", platform="x86_64-manylinux_2_28", python=python)
    told = {
        "STORE": "dynamodb",
        "TABLE_NAME": "passerine",
        "PUBLIC_URL": "https://auth.example.com",
        "KMS_KEY_ID": "key",
        "ADMIN_API_KEY_SECRET": "secret",
        "EMAIL": "ses",
        "EMAIL_FROM": "no-reply@example.com",
    }
    environment = {f"PASSERINE_{name}": value for name, value in told.items()}
    # Isolated: nothing but the code and the standard library is there to be imported.
    done = subprocess.run(
        [python, "-I", "-c", f"import sys; sys.path.insert(0, {str(code)!r})\n{ASK}"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["statusCode"] == 404
    assert json.loads(answer["body"])["code"] == "not_found"
    assert sys.executable not in done.stdout
