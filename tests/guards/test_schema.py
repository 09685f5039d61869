"""Requests made from the OpenAPI document, good and bad, against the running service."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import schemathesis.checks
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

from tests.serving import ADMIN_KEY, Served, serving

EXAMPLES = 25
CHECKS = [*schemathesis.checks.CHECKS.get_all()]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("schema")) as served:
        yield served


def test_no_generated_request_gets_an_answer_that_is_not_documented(served: Served) -> None:
    schema: Any = schemathesis.openapi.from_url(f"{served.origin}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) == 34
    answers: Counter[int] = Counter()
    for operation in operations:
        # A deletion among the requests may succeed: each operation has an application of its own.
        application = served.create_application(signingAlgorithm="EdDSA")
        answers += hammer(operation, application.rpartition("/")[2])
    assert answers[200] > 50
    assert answers[422] > 50


def hammer(operation: Any, application_id: str) -> Counter[int]:
    """Send one operation many requests with an administrator's rights; how they were answered."""
    answers: Counter[int] = Counter()

    either = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode))

    @seed(20261123)
    @given(case=either)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    def send(case: Any) -> None:
        if "application_id" in case.path_parameters:
            case.path_parameters["application_id"] = application_id
        headers = {"X-Api-Key": ADMIN_KEY, "Authorization": "Bearer x"}
        answers[case.call_and_validate(headers=headers, checks=CHECKS).status_code] += 1

    send()
    return answers
