"""Secrets: how they are written, hidden, digested and compared."""

import base64
import hashlib
import hmac
import logging
import string
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.common.secrets import Secret, decode, digest, encode, mac, new_token, same

URL_SAFE = set(string.ascii_letters + string.digits + "-_")


@settings(database=None)
@given(raw=st.binary(max_size=64))
def test_bytes_are_written_for_urls_and_read_back(raw: bytes) -> None:
    text = encode(raw)
    assert set(text) <= URL_SAFE
    assert decode(text) == raw


# RFC 4648 section 10, without padding.
@pytest.mark.parametrize(
    ("raw", "text"),
    [(b"", ""), (b"f", "Zg"), (b"fo", "Zm8"), (b"foo", "Zm9v"), (b"\xfb\xff\xfe", "-__-")],
)
def test_bytes_are_written_as_the_standard_says(raw: bytes, text: str) -> None:
    assert encode(raw) == text
    assert decode(text) == raw


@pytest.mark.parametrize(
    "text",
    [
        "Zg==",
        "Zg=",
        "Zh",  # one byte whose unused bits are not zero
        "Zm9",  # two bytes whose unused bits are not zero
        "Z",
        "Zm9vZ",
        "+//+",
        "-_/-",
        "Zm 9v",
        " Zm9v",
        "Zm9v\n",
        "Zm9v=",
        "====",
        "Zm9v.",
        "Zm9\0",
        "Zm9é",
        "\uff3am9v",
        "Zm9\ud800",
    ],
    ids=ascii,
)
def test_no_other_text_stands_for_bytes(text: str) -> None:
    with pytest.raises(ValueError, match="base64url"):
        decode(text)


@settings(database=None)
@given(text=st.text(alphabet="AZaz09-_+/= ", max_size=12))
def test_a_text_stands_for_bytes_only_if_they_are_written_so(text: str) -> None:
    try:
        raw = decode(text)
    except ValueError:
        return
    assert encode(raw) == text


def test_a_token_is_256_random_bits() -> None:
    tokens = {str(new_token()) for _ in range(100)}
    assert len(tokens) == 100
    assert {len(decode(token)) for token in tokens} == {32}


def test_a_secret_is_not_shown_by_accident(caplog: pytest.LogCaptureFixture) -> None:
    @dataclass
    class Answer:
        token: Secret

    token = new_token()
    shown = [repr(token), repr([token]), repr({"token": token}), repr(Answer(token)), f"{token!r}"]
    shown += [f"{token!a}", str({token})]
    logging.getLogger("test").warning("%r made", token)
    assert not any(str(token) in text for text in [*shown, caplog.text])


def test_a_secret_reaches_its_owner_whole() -> None:
    assert f"Bearer {Secret('abc')}" == "Bearer abc"
    assert Secret("abc") == "abc"
    assert hash(Secret("abc")) == hash("abc")


def test_a_digest_is_sha_256() -> None:
    expected = base64.urlsafe_b64encode(hashlib.sha256("é".encode()).digest()).decode()
    assert digest("é") == expected.rstrip("=")
    assert digest(Secret("é")) == digest("é")
    assert digest("a") != digest("b")


def test_a_mac_is_hmac_sha_256_of_its_parts() -> None:
    assert mac(b"key", "one") == hmac.new(b"key", b"one", hashlib.sha256).digest()
    parts = [("a", "b"), ("ab",), ("a", "", "b"), ("", "ab"), ("b", "a"), ("a", "b", "")]
    assert len({mac(b"key", *some) for some in parts}) == len(parts)
    assert mac(b"key", "a") != mac(b"kez", "a")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a", "a", True),
        ("a", b"a", True),
        (b"\x00\xff", b"\x00\xff", True),
        ("é", "é", True),
        ("", "", True),
        ("a", "b", False),
        ("a", "ab", False),
        ("a", "", False),
        ("A", "a", False),
        ("\u00e9", "e\u0301", False),
    ],
)
def test_secrets_are_the_same_when_their_bytes_are(
    one: str | bytes, other: str | bytes, *, expected: bool
) -> None:
    assert same(one, other) is expected
    assert same(other, one) is expected
