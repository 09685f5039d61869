"""How much the flows do: `PASSERINE_TEST_ROUNDS=10` makes them show everything.

Unset, the races run fewer rounds, lives are shorter, and of what costs a start of the service for
each case only some cases are tried.
"""

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

SETTING = "PASSERINE_TEST_ROUNDS"
DEFAULT_ROUNDS = 4
FULL_ROUNDS = 10


def rounds() -> int:
    """How often each race is run."""
    return int(os.environ.get(SETTING, DEFAULT_ROUNDS))


def is_full() -> bool:
    """Whether everything is to be shown."""
    return rounds() >= FULL_ROUNDS


def some(cases: Sequence[T], *, every: int) -> Sequence[T]:
    """All cases, or an even spread of them."""
    return cases if is_full() else cases[::every]
