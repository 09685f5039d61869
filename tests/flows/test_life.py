"""A longer life: 200 users over 5 applications, with 1 and with 4 workers, and then at rest.

A sixth application looks on: not a byte that is kept of it may change (security.md, I7).
"""

from pathlib import Path

import pytest

from tests.flows import invariants
from tests.flows.client import LocalInbox, opened_client
from tests.flows.effort import is_full
from tests.flows.ledger import Ledger
from tests.flows.life import USERS, check_people, check_their_messages, live, settle
from tests.flows.server import serving

APPLICATIONS = 5
STEPS = 3 if is_full() else 1


@pytest.mark.parametrize("workers", [1, 4])
def test_two_hundred_users_leave_a_store_in_order(tmp_path: Path, workers: int) -> None:
    folder, ledger, seed = tmp_path / "data", Ledger(), workers * 100
    with serving(folder, workers=workers) as server:
        with opened_client(server.url, server.admin_key, ledger) as admin:
            inbox = LocalInbox(client=admin)
            onlookers = settle(admin, inbox, 2, seed + APPLICATIONS)
            for onlooker in onlookers:
                onlooker.sign_up()
            people = [
                person
                for number in range(APPLICATIONS)
                for person in settle(admin, inbox, USERS // APPLICATIONS, seed + number)
            ]
            invariants.wait_for_rest(folder)
            before = invariants.snapshot(folder, onlookers[0].app)
            live(people, admin, STEPS)
            assert invariants.snapshot(folder, onlookers[0].app) == before
            check_people([*people, *onlookers], admin)
        invariants.wait_for_rest(folder)
    check_their_messages([*people, *onlookers], folder)
    assert server.process.returncode in {0, -15}
    assert server.processes() == []
    invariants.check(folder, ledger, logs=[server.log], outputs=[server.output])
