"""Hashing, checking and judging passwords."""

import unicodedata

import pytest
from argon2 import extract_parameters
from argon2.low_level import Type
from hypothesis import given, settings
from hypothesis import strategies as st

from app.passwords.logic import Passwords, judge, normal
from app.passwords.types import (
    Credential,
    PasswordTooCommon,
    PasswordTooLong,
    PasswordTooShort,
)

QUICK = Passwords(memory_kib=64, passes=1)
WORDS = ("ada.lovelace@example.com", "Songbook Pro")


def test_a_hash_names_the_parameters_of_today() -> None:
    found = extract_parameters(Passwords().hash("correct horse"))
    assert found.type is Type.ID
    assert found.version == 19
    assert (found.memory_cost, found.time_cost, found.parallelism) == (19_456, 2, 1)
    assert (found.salt_len, found.hash_len) == (16, 32)


def test_nobodys_hash_costs_what_everybodys_does() -> None:
    nobody = extract_parameters(Passwords()._nobody())  # noqa: SLF001 - no answer shows it
    assert nobody == extract_parameters(Passwords().hash("x"))


def test_the_same_password_has_another_hash_each_time() -> None:
    assert len({QUICK.hash("correct horse") for _ in range(20)}) == 20


@given(text=st.text(min_size=1, max_size=40), other=st.text(max_size=40))
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_a_password_is_itself_in_every_form_and_nothing_else(text: str, other: str) -> None:
    credential = Credential(hash=QUICK.hash(text), version=1)
    assert QUICK.verify(credential, text)
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        same = unicodedata.normalize(form, text)
        if normal(same) == normal(text):
            assert QUICK.verify(credential, same)
    assert QUICK.verify(credential, other) == (normal(other) == normal(text))
    assert not QUICK.verify(credential, text + "x")


@pytest.mark.parametrize("password", ["", "x", "\x00", "\u0000" * 8, "x" * 1024])
def test_nobody_has_no_password(password: str) -> None:
    assert not QUICK.verify(None, password)


@pytest.mark.parametrize("broken", ["", "x", "$argon2id$v=19$m=64,t=1,p=1$", "$2b$12$abc", "\x00"])
def test_a_broken_hash_is_nobodys(broken: str) -> None:
    assert not QUICK.verify(Credential(hash=broken, version=1), "x")


def test_a_hash_of_other_parameters_is_outdated() -> None:
    assert not QUICK.outdated(Credential(hash=QUICK.hash("x"), version=1))
    assert Passwords().outdated(Credential(hash=QUICK.hash("x"), version=1))


def test_a_hash_does_not_show() -> None:
    assert "argon2" not in repr(Credential(hash=QUICK.hash("x"), version=1))


@pytest.mark.parametrize(
    ("password", "error"),
    [
        ("1234567", PasswordTooShort),
        ("", PasswordTooShort),
        ("e\u0301" * 7, PasswordTooShort),
        ("x1" * 129, PasswordTooLong),
        ("\ufdfa1" * 14, PasswordTooLong),
        ("password", PasswordTooCommon),
        ("PASSWORD", PasswordTooCommon),
        ("12345678", PasswordTooCommon),
        ("zzzzzzzz", PasswordTooCommon),
        ("ＺＺＺＺＺzzz", PasswordTooCommon),
        (" " * 8, PasswordTooCommon),
        (" \t\u2003\u3000 \t  ", PasswordTooCommon),
        ("Lovelace", PasswordTooCommon),
        ("lovelace1815!?", PasswordTooCommon),
        ("1lovelace-ada1", PasswordTooCommon),
        ("SONGBOOKPRO", PasswordTooCommon),
        ("Songbook.Pro.2026", PasswordTooCommon),
        ("example.com", PasswordTooCommon),
        ("songbook-lovelace", PasswordTooCommon),
    ],
)
def test_a_password_that_will_not_do_is_refused_for_a_reason(
    password: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        judge(password, min_length=8, words=WORDS)


@pytest.mark.parametrize(
    "password",
    [
        "tr0ub4do",
        "adagio ma non troppo",
        "my songbook is long",
        "x" * 255 + "y",
        "e\u0301" * 7 + "x",
    ],
)
def test_any_other_password_will_do(password: str) -> None:
    judge(password, min_length=8, words=WORDS)


def test_an_application_without_a_name_forbids_nothing_by_it() -> None:
    judge("kx8#mQz2", min_length=8, words=("a@b.cd", ""))


def test_words_are_found_in_any_spelling() -> None:
    for word, password in (("Müllerei", "MU\u0308LLEREI99"), ("ｗｉｄｅｓｔ", "widest-1234")):
        with pytest.raises(PasswordTooCommon):
            judge(password, min_length=8, words=(word,))


def test_the_refusal_names_the_member_to_blame() -> None:
    with pytest.raises(PasswordTooShort) as caught:
        judge("short", min_length=8, words=(), field="newPassword")
    assert caught.value.at == "newPassword"
    assert "short" not in str(caught.value).replace("too_short", "")
