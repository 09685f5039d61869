"""Cursors: what one list issued, no other list and no stranger can use."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.common.errors import InvalidCursor, Kind
from app.common.paging import MAC_BYTES, Cursors
from app.common.secrets import decode, encode

CURSORS = Cursors(key=lambda: b"k" * 32)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def issued(scope: str, position: str) -> str:
    cursor = CURSORS.issue(scope, position)
    assert cursor is not None
    return cursor


def refuses(scope: str, cursor: str) -> None:
    with pytest.raises(InvalidCursor) as refusal:
        CURSORS.read(scope, cursor)
    assert refusal.value.kind is Kind.MALFORMED
    assert refusal.value.at == "cursor"


@settings(database=None)
@given(scope=texts, position=texts)
def test_a_cursor_gives_back_its_position(scope: str, position: str) -> None:
    assert CURSORS.read(scope, CURSORS.issue(scope, position)) == position


def test_the_end_of_a_list_has_no_cursor_and_its_beginning_needs_none() -> None:
    assert CURSORS.issue("users", None) is None
    assert CURSORS.read("users", None) is None


def test_every_process_of_a_deployment_reads_it() -> None:
    twin = Cursors(key=lambda: b"k" * 32)
    assert twin.read("users", issued("users", "42")) == "42"


@settings(database=None)
@given(scope=texts, other=texts, position=texts)
def test_another_list_refuses_it(scope: str, other: str, position: str) -> None:
    if scope != other:
        refuses(other, issued(scope, position))


@pytest.mark.parametrize(
    ("scope", "position", "other", "forged"),
    [
        ("users", "a", "user", "sa"),
        ("users/a", "b", "users", "/ab"),
        ('users", "a', "b", "users", 'a", "b'),
        ("users\n", "a", "users", "\na"),
        ("users\na", "b", "users", "a\nb"),
    ],
    ids=ascii,
)
def test_what_is_cut_elsewhere_between_scope_and_position_is_refused(
    scope: str, position: str, other: str, forged: str
) -> None:
    signature = decode(issued(scope, position))[:MAC_BYTES]
    refuses(other, encode(signature + forged.encode()))


def test_another_deployment_refuses_it() -> None:
    stranger = Cursors(key=lambda: b"s" * 32)
    with pytest.raises(InvalidCursor):
        stranger.read("users", issued("users", "42"))


def test_every_changed_bit_is_refused() -> None:
    raw = decode(issued("users", "42"))
    for bit in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << (bit % 8)
        refuses("users", encode(bytes(changed)))


def test_every_piece_of_it_is_refused() -> None:
    cursor = issued("users", "4242")
    for cut in range(len(cursor)):
        refuses("users", cursor[:cut])
        refuses("users", cursor[cut + 1 :])


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "42",
        "null",
        "A" * 22,
        encode(bytes(MAC_BYTES) + b"42"),
        encode(bytes(MAC_BYTES)),
        encode(b"\xff" * 40),
        "é" * 30,
        "\0",
        "\ud800",
        "A" * 100_000,
    ],
    ids=lambda cursor: ascii(cursor)[:24],
)
def test_a_forged_cursor_is_refused(cursor: str) -> None:
    refuses("users", cursor)


@pytest.mark.parametrize("change", ["{}=", "{}==", "{}\n", " {}", "{}A", "{}.x"])
def test_another_writing_of_a_cursor_is_refused(change: str) -> None:
    refuses("users", change.format(issued("users", "42")))
