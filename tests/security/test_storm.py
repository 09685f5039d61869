"""Odd and broken requests by the hundred, of which none may get a 5xx; more on demand.

`python -m tests.security.storm --requests 50000` sends as many as one likes.
"""

from pathlib import Path

import pytest

from tests.api.operations import operations
from tests.api.world import open_world
from tests.security.storm import PLACES, Storm

SEED = 20261124
REQUESTS = {"sqlite": 1200, "dynamodb": 800}


@pytest.mark.parametrize("store", sorted(REQUESTS))
def test_inp_01_no_request_gets_a_5xx_or_an_error_that_is_no_problem(
    tmp_path: Path, store: str
) -> None:
    with PLACES[store](tmp_path / "data") as place:
        report = Storm(place=place, requests=REQUESTS[store], seed=SEED).run()
    assert report.faults == [], f"seed {SEED}"
    with open_world(tmp_path / "other") as world:
        assert {one.id for one in operations(world)} <= {name for name, _ in report.answers}
    assert {200, 201, 202, 204, 400, 401, 404, 422} <= report.statuses.keys()
    assert sum(report.statuses.values()) >= REQUESTS[store]
