"""What may be done with a ring of keys."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import jwt
import pytest

from app.adapters.local_keys import LocalSealer
from app.common.clock import Clock
from app.common.ids import ApplicationId
from app.common.secrets import SealBroken
from app.signing.logic import LONGEST_TOKEN_SECONDS, KeyRings
from app.signing.types import Algorithm, KeyInUse, KeyNotFound, KeyState, Ring, TooManyKeys

APP = ApplicationId("019ca945-0a00-7001-9c76-e6773e9f1b85")
START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@dataclass(kw_only=True)
class Bench:
    """Rings at an hour that the test sets."""

    now: datetime = START
    rings: KeyRings = field(init=False)

    def __post_init__(self) -> None:
        sealer = LocalSealer(key=bytes(32))
        self.rings = KeyRings(sealer=sealer, clock=Clock(source=lambda: self.now))

    def fresh(self, algorithm: Algorithm = Algorithm.EDDSA) -> Ring:
        return self.rings.fresh(APP, algorithm)

    def turn(self, ring: Ring, algorithm: Algorithm = Algorithm.EDDSA) -> Ring:
        return self.rings.rotated(APP, ring, algorithm)


def states(ring: Ring) -> list[str]:
    return [key.state.value for key in ring.keys]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_ring_begins_with_two_keys(bench: Bench) -> None:
    ring = bench.fresh()
    assert states(ring) == ["current", "next"]
    assert ring.current is ring.keys[0]
    assert ring.find(ring.keys[1].kid) is ring.keys[1]
    assert ring.find("x") is None
    assert ring.published(0) == list(ring.keys)


def test_rotations_move_every_key_one_on(bench: Bench) -> None:
    ring = bench.fresh()
    for _ in range(3):
        turned = bench.turn(ring)
        assert turned.current.kid == next(k.kid for k in ring.keys if k.state is KeyState.NEXT)
        assert [key.kid for key in turned.keys[:-1]] == [key.kid for key in ring.keys]
        ring = turned
    assert states(ring) == ["retired", "retired", "retired", "current", "next"]
    assert [key.sealed is None for key in ring.keys] == [True, True, True, False, False]


def test_a_retired_key_leaves_when_the_longest_token_is_over(bench: Bench) -> None:
    ring = bench.turn(bench.fresh())
    retired = ring.keys[0]
    leaves = int(START.timestamp()) + LONGEST_TOKEN_SECONDS
    assert retired.leaves == leaves
    assert retired in ring.published(leaves - 1)
    assert retired not in ring.published(leaves)
    bench.now += timedelta(seconds=LONGEST_TOKEN_SECONDS)
    assert bench.turn(ring).find(retired.kid) is None


def test_a_retired_key_keeps_its_hour_through_later_rotations(bench: Bench) -> None:
    ring = bench.turn(bench.fresh())
    leaves = ring.keys[0].leaves
    bench.now += timedelta(hours=3)
    assert bench.turn(ring).keys[0].leaves == leaves


def test_another_algorithm_makes_both_keys_anew(bench: Bench) -> None:
    ring = bench.fresh()
    turned = bench.turn(ring, Algorithm.ES256)
    assert states(turned) == ["retired", "current", "next"]
    assert [key.algorithm.value for key in turned.keys] == ["EdDSA", "ES256", "ES256"]
    assert turned.find(ring.keys[1].kid) is None


def test_back_to_the_first_algorithm_is_another_key(bench: Bench) -> None:
    ring = bench.fresh()
    first = ring.current.kid
    back = bench.turn(bench.turn(ring, Algorithm.ES256), Algorithm.EDDSA)
    assert back.current.kid != first
    assert back.current.algorithm is Algorithm.EDDSA


def test_a_key_is_taken_out_only_if_it_does_not_sign(bench: Bench) -> None:
    ring = bench.turn(bench.fresh())
    retired, current, following = ring.keys
    with pytest.raises(KeyInUse):
        bench.rings.without(APP, ring, current.kid)
    with pytest.raises(KeyNotFound):
        bench.rings.without(APP, ring, "x")
    assert states(bench.rings.without(APP, ring, retired.kid)) == ["current", "next"]
    replaced = bench.rings.without(APP, ring, following.kid)
    assert states(replaced) == ["retired", "current", "next"]
    assert replaced.find(following.kid) is None
    bench.now += timedelta(days=1)
    with pytest.raises(KeyNotFound):
        bench.rings.without(APP, ring, retired.kid)


def test_a_full_ring_is_not_turned(bench: Bench) -> None:
    ring = bench.fresh()
    for _ in range(48):
        ring = bench.turn(ring)
    assert len(ring.keys) == 50
    with pytest.raises(TooManyKeys):
        bench.turn(ring)


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_both_halves_belong_together(bench: Bench, algorithm: Algorithm) -> None:
    key = bench.fresh(algorithm).current
    token = jwt.encode({"a": 1}, bench.rings.private_key(APP, key), algorithm=algorithm.value)
    assert jwt.decode(token, jwt.PyJWK(key.jwk), algorithms=[algorithm.value]) == {"a": 1}
    assert key.jwk["alg"] == algorithm.value
    assert key.jwk["kid"] == key.kid


@pytest.mark.parametrize(
    "change",
    [
        lambda one, other: replace(one, sealed=other.sealed),
        lambda one, _: replace(one, kid="x" + one.kid[1:]),
        lambda one, _: replace(one, sealed=one.sealed[:-1] + "A"),
        lambda one, _: replace(one, sealed=one.sealed[3:]),
        lambda one, _: replace(one, sealed=""),
    ],
)
def test_a_sealed_key_opens_only_in_its_own_place(
    bench: Bench, change: Callable[..., object]
) -> None:
    one, other = bench.fresh().keys
    moved = change(one, other)
    while moved == one:  # the last character may have been an A
        one, other = bench.fresh().keys
        moved = change(one, other)
    with pytest.raises(SealBroken):
        bench.rings.private_key(APP, moved)  # type: ignore[arg-type] # a key, as `change` makes it


def test_a_key_of_another_application_does_not_open(bench: Bench) -> None:
    key = bench.fresh().current
    other = ApplicationId("019ca945-0a00-7002-9c76-e6773e9f1b85")
    with pytest.raises(SealBroken):
        bench.rings.private_key(other, key)


def test_opened_keys_are_remembered_in_bounds(bench: Bench) -> None:
    keys = [bench.fresh().current for _ in range(300)]
    for key in keys:
        bench.rings.private_key(APP, key)
    assert len(bench.rings._opened) == 256  # noqa: SLF001 - a bound that nothing else shows
    assert bench.rings.private_key(APP, keys[-1]) is bench.rings.private_key(APP, keys[-1])


def test_a_sealed_key_does_not_show(bench: Bench) -> None:
    key = bench.fresh().current
    assert key.sealed is not None
    assert key.sealed not in repr(key)
