"""What the function may have imported: after its init, and after its first sign-in.

Each import is a part of every cold start. Whoever needs another one here has measured what it
costs (`python -m tests.bench.speed`) and says in the code why it cannot wait.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.bench.stage import stage

ROOT = Path(__file__).parents[2]
# FastAPI, what it stands on, and what Lambda needs; nothing of AWS's, no cryptography.
AFTER_INIT = {
    "annotated_doc",
    "annotated_types",
    "anyio",
    "app",
    "fastapi",
    "idna",
    "mangum",
    "opentelemetry",
    "pydantic",
    "pydantic_core",
    "python_multipart",
    "snapshot_restore_py",
    "starlette",
    "typing_extensions",
    "typing_inspection",
}
# A hash to compare with, a key to open, a signature to make, an address to read.
FOR_A_SIGN_IN = {
    "argon2",
    "bcrypt",  # cryptography takes it along where the bench group has brought it
    "cryptography",
    "dns",
    "email_validator",
    "jwt",
}
# Of the standard library: what would drag a server, a database or processes along.
NEVER = {"multiprocessing", "sqlite3", "smtplib", "ctypes", "tkinter", "unittest", "xml"}
SCRIPT = """
import json, sys
from app import lambda_handler
handler = lambda_handler.handler
loaded = lambda: sorted(name for name, module in sys.modules.items() if module is not None)
seen = [loaded()]
for event in json.load(sys.stdin):
    answer = handler(event, None)
    assert answer["statusCode"] == 200, answer
    seen.append(loaded())
json.dump(seen, open(sys.argv[1], "w"))
"""


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The modules after init, after a `readApplication`, and after a sign-in."""

    init: set[str]
    read: set[str]
    sign_in: set[str]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder = tmp_path_factory.mktemp("budget")
    with stage(folder, applications=1, warm=False) as there:
        events = [there.read_application(), there.sign_in(there.applications[0])]
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9",  # only that it is there is looked at
            **there.environment,
        }
        subprocess.run(
            [sys.executable, "-c", SCRIPT, str(folder / "seen.json")],
            input=json.dumps(events).encode(),
            env=environment,
            check=True,
        )
    init, read, sign_in = (set(one) for one in json.loads((folder / "seen.json").read_text()))
    return Loaded(init=init, read=read, sign_in=sign_in)


def others(modules: set[str]) -> set[str]:
    """The packages that are neither the standard library's nor made by the interpreter."""
    tops = {name.partition(".")[0] for name in modules}
    return {top for top in tops if top not in sys.stdlib_module_names and not top.startswith("_")}


def routers(modules: set[str]) -> set[str]:
    return {name for name in modules if name.startswith("app.") and name.endswith("router")}


def test_after_init_only_the_framework_is_there(loaded: Loaded) -> None:
    assert others(loaded.init) <= AFTER_INIT
    assert not loaded.init & NEVER
    assert not routers(loaded.init)


def test_a_read_needs_its_own_area_and_nothing_else(loaded: Loaded) -> None:
    assert others(loaded.read) <= AFTER_INIT
    assert routers(loaded.read) == {"app.applications.router"}
    assert not loaded.read & NEVER


def test_a_sign_in_brings_what_it_hashes_opens_and_signs_with(loaded: Loaded) -> None:
    assert others(loaded.sign_in) <= AFTER_INIT | FOR_A_SIGN_IN
    assert routers(loaded.sign_in) == {"app.applications.router", "app.signin.router"}
    assert not loaded.sign_in & NEVER


def test_the_number_of_modules_is_bounded(loaded: Loaded) -> None:
    assert len(loaded.init) <= 560
    assert len(loaded.sign_in) <= 700
