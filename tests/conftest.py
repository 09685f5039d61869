"""What several folders of tests share."""

from pathlib import Path

import pytest

from tests.cdk import synthesize


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `cdk deploy` would put on AWS, for a machine like this one."""
    return synthesize(tmp_path_factory.mktemp("cdk") / "assembly")
