"""The function's code as Lambda runs it: made by uv, without Docker, the same bytes every time.

    python3 -m uv run python -m infra.bundle FOLDER [--platform x86_64-manylinux_2_28]

Python 3.13 must be one that uv finds or may fetch. Any platform's wheels are unpacked on any
machine: nothing of them is run here.
"""

import argparse
import os
import shutil
import subprocess
from pathlib import Path

from infra import sbom

ROOT = Path(__file__).parents[1]
PYTHON = "3.13"
# Lambda's Python 3.13 runs on Amazon Linux 2023, whose glibc is 2.34.
PLATFORM = "aarch64-manylinux_2_28"
# Lambda itself is the server.
SERVER = ("uvicorn", "click", "h11")
# The services that the adapters call, and what STS and SSO sign-in need; the rest of botocore's
# models are most of its 28 MB.
MODELS = {"dynamodb", "kms", "secretsmanager", "sesv2", "sns", "sts"}
# What is not read at run time. METADATA and entry points are: pydantic asks for a version.
LEFT_OUT = ("tests", "*.pyi", "py.typed", "RECORD", "INSTALLER", "REQUESTED", "direct_url.json")


def bundle(folder: Path, *, platform: str = PLATFORM, python: str = PYTHON) -> Path:
    """Make the code in an empty folder; the folder."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    requirements = folder.with_name(f"{folder.name}.txt")
    leave = [word for name in SERVER for word in ("--no-emit-package", name)]
    _uv(
        "export",
        "--frozen",
        "--no-default-groups",
        "--no-header",
        "--no-annotate",
        *leave,
        "-o",
        requirements,
    )
    _uv(
        *("pip", "install", "--target", folder, "--python-platform", platform),
        *("--python-version", PYTHON, "--only-binary", ":all:", "--no-deps"),
        *("--require-hashes", "--link-mode", "copy", "-r", requirements),
    )
    requirements.unlink()
    _trim(folder)
    sbom.write(folder, without=SERVER)
    shutil.copytree(ROOT / "app", folder / "app", ignore=shutil.ignore_patterns("__pycache__"))
    # Lambda's code is read-only: without bytecode each cold start would compile everything. This
    # kind carries no time, so that two builds are the same.
    compiling = ("-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash")
    _uv(
        *("run", "--no-project", "--python", python, "python", *compiling),
        *("-s", folder, "-p", "/var/task", folder),
    )
    return folder


def _trim(folder: Path) -> None:
    for pattern in LEFT_OUT:
        for path in sorted(folder.rglob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.rmtree(folder / "bin", ignore_errors=True)
    for model in (folder / "botocore" / "data").iterdir():
        if model.is_dir() and model.name not in MODELS:
            shutil.rmtree(model)


def _uv(*words: str | Path) -> None:
    # What `uv run` starts is told where uv is.
    found = os.environ.get("UV") or shutil.which("uv")
    if found is None:
        raise SystemExit("uv is not found: run this with `python3 -m uv run`.")
    subprocess.run([found, "--quiet", *map(str, words)], cwd=ROOT, check=True)  # noqa: S603 - our own words


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--platform", default=PLATFORM)
    parser.add_argument("--python", default=PYTHON)
    given = parser.parse_args()
    bundle(given.folder, platform=given.platform, python=given.python)
