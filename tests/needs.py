"""What tests and benchmarks need beside Python packages."""

import os
from typing import Never

import pytest


def missing(what: str) -> Never:
    """Skip the test; in CI fail it, and end a benchmark, which was asked for by name."""
    reason = f"needs {what}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    if "PYTEST_VERSION" in os.environ:
        pytest.skip(reason)
    raise SystemExit(reason)
