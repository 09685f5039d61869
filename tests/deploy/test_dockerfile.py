"""The Dockerfile: linted, and its steps taken in folders, as far as that goes without an engine."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from infra.bundle import ROOT
from tests.cdk import lambdas_python
from tests.flows.server import free_port

PATIENCE_SECONDS = 20.0


@dataclass(kw_only=True)
class Stage:
    """A stage's file system, below a folder, and what it tells its processes."""

    root: Path
    environment: dict[str, str]
    folder: str = "/"
    user: str = "root"
    said: dict[str, str] = field(default_factory=dict)

    def here(self, text: str) -> str:
        """A text with its absolute paths below the folder."""
        return re.sub(r"(?<![\w.}])/(srv|data|opt)\b", rf"{self.root}/\1", text)

    @property
    def cwd(self) -> Path:
        return Path(f"{self.root}{self.folder}")


def instructions() -> Iterator[tuple[str, str]]:
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, rest = line.partition(" ")
            yield name, rest.strip()


def build(folder: Path) -> dict[str, Stage]:
    """Take the steps of each stage."""
    stages: dict[str, Stage] = {}
    told: dict[str, str] = {}
    stage = Stage(root=folder, environment={})
    for name, rest in instructions():
        match name:
            case "ARG":
                key, _, value = rest.partition("=")
                told[key] = value
            case "FROM":
                base, _, called = rest.partition(" AS ")
                stage = begun(folder / called, stages.get(base))
                stages[called] = stage
            case "ENV":
                for word in shlex.split(rest):
                    key, _, value = word.partition("=")
                    value = value.replace("$PATH", stage.environment["PATH"])
                    stage.environment[key] = stage.here(value)
            case "WORKDIR":
                stage.folder = rest
                stage.cwd.mkdir(parents=True, exist_ok=True)
            case "COPY":
                copy(stage, stages, rest)
            case "RUN":
                run(stage, rest, told)
            case _:
                stage.said[name] = rest
    return stages


def begun(root: Path, base: Stage | None) -> Stage:
    if base is not None:
        shutil.copytree(base.root, root, symlinks=True)
        return Stage(root=root, environment=dict(base.environment), folder=base.folder)
    # What the base image brings: a Python and its tools.
    subprocess.run([lambdas_python(), "-m", "venv", root / "python"], check=True)
    path = f"{root / 'python' / 'bin'}:/usr/bin:/bin"
    task = str(root / "opt")
    return Stage(root=root, environment={"PATH": path, "LAMBDA_TASK_ROOT": task})


def copy(stage: Stage, stages: dict[str, Stage], rest: str) -> None:
    words = rest.replace("${LAMBDA_TASK_ROOT}", stage.environment["LAMBDA_TASK_ROOT"]).split()
    origin = ROOT
    if words[0].startswith("--from="):
        origin = stages[words.pop(0).removeprefix("--from=")].root
    *sources, target = words
    for source in sources:
        found = origin / source.lstrip("/")
        goal = Path(target if target.startswith(str(stage.root)) else stage.here(target))
        if not goal.is_absolute():
            goal = stage.cwd / goal
        if found.is_dir():
            # As .dockerignore says of what comes from the repository.
            ignored = shutil.ignore_patterns("__pycache__") if origin == ROOT else None
            shutil.copytree(found, goal, symlinks=True, ignore=ignored, dirs_exist_ok=True)
        else:
            shutil.copy(found, goal / found.name)


def run(stage: Stage, command: str, told: dict[str, str]) -> None:
    mapped = stage.here(command).replace("chown 10001", "chown $(id -u)")
    done = subprocess.run(
        ["sh", "-ec", mapped],
        cwd=stage.cwd,
        env={"HOME": str(stage.root), **told, **passed_on(), **stage.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def passed_on() -> dict[str, str]:
    """How this machine reaches the package index."""
    wanted = ("PIP_", "UV_INDEX", "UV_DEFAULT_INDEX", "SSL_", "HTTP", "NO_PROXY", "no_proxy")
    return {k: v for k, v in os.environ.items() if k.startswith((*wanted, "http"))}


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Stage]:
    return build(tmp_path_factory.mktemp("images"))


def test_it_is_linted() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [linter, ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_nothing_comes_in_but_what_is_named() -> None:
    lines = (ROOT / ".dockerignore").read_text().split()
    assert lines[0] == "*"
    copied = {
        word
        for name, rest in instructions()
        if name == "COPY" and "--from" not in rest
        for word in rest.split()[:-1]
    }
    assert copied == {line.removeprefix("!") for line in lines if line.startswith("!")}


def test_both_images_run_as_nobody_in_particular(stages: dict[str, Stage]) -> None:
    assert {stages[name].said["USER"] for name in ("server", "lambda")} == {"10001"}


def test_the_server_starts_is_healthy_and_stops(stages: dict[str, Stage]) -> None:
    server, port = stages["server"], str(free_port())
    server.root.joinpath("data").mkdir(exist_ok=True)
    # Nothing is written beside the data.
    for path in server.root.joinpath("srv", "app").rglob("*"):
        path.chmod(0o555)
    words = [one.replace("8000", port) for one in json.loads(server.said["CMD"])]
    words[words.index("0.0.0.0")] = "127.0.0.1"
    check = server.said["HEALTHCHECK"].partition("CMD ")[2].replace("8000", port)
    # The environment was moved from the stage that made it.
    program = [str(server.root / "srv/.venv/bin/python"), "-m", *words]
    with subprocess.Popen(
        program,
        cwd=server.cwd,
        env=server.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while subprocess.run(
                json.loads(check), env=server.environment, stderr=subprocess.DEVNULL, check=False
            ).returncode:
                assert process.poll() is None, process.communicate()[1]
                assert time.monotonic() < deadline
                time.sleep(0.1)
        finally:
            process.terminate()
        process.communicate(timeout=PATIENCE_SECONDS)
    assert (server.root / "data" / "passerine.db").exists()


def test_the_functions_image_has_the_bundle(stages: dict[str, Stage]) -> None:
    task = stages["lambda"].root / "opt"
    (handler,) = json.loads(stages["lambda"].said["CMD"])
    module = handler.rpartition(".")[0].replace(".", "/")
    assert (task / f"{module}.py").exists()
    assert list(task.glob(f"{module.rpartition('/')[0]}/__pycache__/lambda_handler.*.pyc"))
    assert not (task / "uvicorn").exists()
