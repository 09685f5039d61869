"""Many at once: one winner, and nothing lost."""

import random
from collections import Counter

from app.storage.table import (
    Absent,
    Check,
    ConditionFailed,
    Delete,
    Exists,
    FieldIs,
    Put,
    Table,
    Update,
    VersionIs,
    Write,
)
from tests.contract.ground import Hour, Place, living, race

RUNNERS = 16
ROUNDS = 5
TRIES = 2000


def wins(table: Table, *writes: Write) -> bool:
    try:
        table.commit(*writes)
    except ConditionFailed:
        return False
    return True


def number(table: Table, place: Place, sk: str) -> int:
    held = living(table, place.key(sk)).body["n"]
    assert isinstance(held, int)
    return held


def contest(table: Table, commits: list[tuple[Write, ...]]) -> int:
    """Commit all of them at the same moment; the number of the only one that won."""
    won = race(len(commits), lambda me: wins(table, *commits[me]))
    assert won.count(True) == 1
    return won.index(True)


def test_one_of_many_puts_on_absence_wins(table: Table, place: Place) -> None:
    for turn in range(ROUNDS):
        key = place.key(f"round {turn}")
        won = contest(
            table, [(Put(key=key, body={"by": me}, when=(Absent(),)),) for me in range(RUNNERS)]
        )
        assert living(table, key).body == {"by": won}


def test_one_of_many_puts_wins_the_place_of_an_expired_item(
    table: Table, place: Place, hour: Hour
) -> None:
    for turn in range(ROUNDS):
        key = place.key(f"round {turn}")
        table.commit(Put(key=key, body={}, expires_at=hour.in_seconds(1)))
        hour.advance(1)
        won = contest(
            table, [(Put(key=key, body={"by": me}, when=(Absent(),)),) for me in range(RUNNERS)]
        )
        assert living(table, key).body == {"by": won}


def test_one_of_many_deletions_of_what_exists_wins(table: Table, place: Place) -> None:
    for turn in range(ROUNDS):
        key = place.key(f"round {turn}")
        table.commit(Put(key=key, body={}))
        contest(table, [(Delete(key=key, when=(Exists(),)),)] * RUNNERS)
        assert table.get(key) is None


def test_what_is_spent_once_pays_once(table: Table, place: Place) -> None:
    """The winner of the token is the only one whose other writes are done."""
    token = place.key("token")
    table.commit(Put(key=token, body={}))
    sessions = place.keys(*(f"session#{me:02}" for me in range(RUNNERS)))
    won = contest(
        table,
        [(Put(key=key, body={}), Delete(key=token, when=(Exists(),))) for key in sessions],
    )
    laid = table.query(place.partition(), prefix="session#", limit=RUNNERS).items
    assert [item.key for item in laid] == [sessions[won]]


def test_one_of_many_updates_on_the_same_counter_wins_each_round(
    table: Table, place: Place
) -> None:
    key = place.key()
    table.commit(Put(key=key, body={"counter": 0}))
    for turn in range(ROUNDS):
        update = Update(key=key, add={"counter": 1}, when=(FieldIs("counter", turn),))
        contest(table, [(update,)] * RUNNERS)
    assert living(table, key).body == {"counter": ROUNDS}


def test_one_of_many_writes_on_the_same_version_wins(table: Table, place: Place) -> None:
    key = place.key()
    table.commit(Put(key=key, body={}))
    for turn in range(1, ROUNDS + 1):
        when = (VersionIs(turn),)
        won = contest(table, [(Put(key=key, body={"by": me}, when=when),) for me in range(RUNNERS)])
        assert living(table, key).body == {"by": won}
        assert living(table, key).version == turn + 1


def test_additions_from_everywhere_lose_nothing(table: Table, place: Place) -> None:
    key = place.key()
    table.commit(Put(key=key, body={"n": 0}))

    def add(_: int) -> None:
        for _turn in range(ROUNDS):
            table.commit(Update(key=key, add={"n": 1}))

    race(RUNNERS, add)
    assert living(table, key).body == {"n": RUNNERS * ROUNDS}
    assert living(table, key).version == 1 + RUNNERS * ROUNDS


def test_reading_and_writing_on_the_read_version_loses_nothing(table: Table, place: Place) -> None:
    table.commit(Put(key=place.key(), body={"n": 0}))

    def count(_: int) -> int:
        added = 0
        for _turn in range(TRIES):
            found = living(table, place.key())
            n = found.body["n"]
            assert isinstance(n, int)
            on_what_was_read = (VersionIs(found.version),)
            if wins(table, Put(key=place.key(), body={"n": n + 1}, when=on_what_was_read)):
                added += 1
            if added == ROUNDS:
                break
        return added

    assert race(RUNNERS, count) == [ROUNDS] * RUNNERS
    assert living(table, place.key()).body == {"n": RUNNERS * ROUNDS}


def test_transfers_between_accounts_keep_the_sum(table: Table, place: Place) -> None:
    accounts = [f"account#{one}" for one in range(4)]
    table.commit(*(Put(key=place.key(sk), body={"n": 100}) for sk in accounts))

    def transfer(me: int) -> int:
        chance = random.Random(me)
        done = 0
        for _turn in range(TRIES):
            giver, taker = chance.sample(accounts, 2)
            amount = chance.randint(1, 60)
            held = number(table, place, giver)
            if held >= amount:
                done += wins(
                    table,
                    Update(key=place.key(giver), add={"n": -amount}, when=(FieldIs("n", held),)),
                    Update(key=place.key(taker), add={"n": amount}),
                    Put(key=place.key(f"transfer#{me:02}#{done}"), body={"n": amount}),
                )
            if done == ROUNDS:
                break
        return done

    assert race(8, transfer) == [ROUNDS] * 8
    held = [number(table, place, sk) for sk in accounts]
    assert sum(held) == 400
    assert min(held) >= 0
    page = table.query(place.partition(), prefix="transfer#", limit=100)
    assert len(page.items) == 8 * ROUNDS


def test_one_name_is_never_given_to_two(table: Table, place: Place) -> None:
    """A lookup item put absent beside its owner: what every unique address rests on."""
    names = ["ada", "eve", "joe"]

    def claim(me: int) -> list[str]:
        mine = []
        for name in random.Random(me).sample(names, len(names)):
            owner = Put(key=place.key(f"name#{name}"), body={"of": me}, when=(Absent(),))
            if wins(table, Put(key=place.key(f"user#{me:02}#{name}"), body={}), owner):
                mine.append(name)
        return mine

    claimed = race(RUNNERS, claim)
    assert Counter(name for mine in claimed for name in mine) == Counter(names)
    users = table.query(place.partition(), prefix="user#", limit=100).items
    assert sorted(item.key.sk for item in users) == sorted(
        f"user#{me:02}#{name}" for me, mine in enumerate(claimed) for name in mine
    )


def test_a_check_guards_against_what_happens_at_the_same_moment(table: Table, place: Place) -> None:
    """Two commits, each allowed only while the other has not happened: exactly one of them has."""
    for turn in range(ROUNDS * 2):
        closed, entry = place.keys(f"closed {turn}", f"entry {turn}")
        won = contest(
            table,
            [
                (Put(key=closed, body={}), Check(key=entry, when=(Absent(),))),
                (Put(key=entry, body={}), Check(key=closed, when=(Absent(),))),
            ],
        )
        assert set(table.get_many([closed, entry])) == {[closed, entry][won]}


def test_readers_never_see_half_a_change_of_one_item(table: Table, place: Place) -> None:
    key = place.key()
    table.commit(Put(key=key, body={"left": 0, "right": 0}))

    def run(me: int) -> bool:
        if me == 0:
            for n in range(1, 41):
                table.commit(Update(key=key, set={"left": n}, add={"right": 1}))
            return True
        seen = [living(table, key) for _ in range(40)]
        whole = all(item.body["left"] == item.body["right"] == item.version - 1 for item in seen)
        return whole and [item.version for item in seen] == sorted(item.version for item in seen)

    assert all(race(4, run))
