"""What operations cost is what `keys.py` says."""

import pytest

from app.storage import keys
from tests.bench.units import lines

HEAD = "| operation | read calls | read units | write calls | write units |"


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return lines(tmp_path_factory.mktemp("units"))


def test_every_operation_consumes_what_the_table_of_keys_says(measured: list[str]) -> None:
    assert keys.__doc__ is not None
    table = keys.__doc__.partition(HEAD)[2].partition("\n\n")[0].splitlines()[2:]
    assert table == measured


@pytest.mark.parametrize(
    ("operation", "reads", "writes"),
    [
        ("requestUserToken (password)", 1, 1),
        ("requestUserToken (refresh)", 1, 1),
        ("readCurrentUser", 1, 0),
    ],
)
def test_the_hot_paths_keep_their_budget_of_round_trips(
    measured: list[str], operation: str, reads: int, writes: int
) -> None:
    (row,) = [line for line in measured if line.startswith(f"| {operation} |")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert (int(cells[1]), int(cells[3])) == (reads, writes)
