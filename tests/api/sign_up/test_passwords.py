"""Which passwords are taken, and that each is compared as a whole."""

import unicodedata

import pytest

from tests.api.world import PASSWORD, Tenant, World, refused

TOO_COMMON = [
    "password",
    "PassWord",
    "12345678",
    "qwertyuiop",
    "iloveyou",
    "baseball1",
    "password1",
    "ｐａｓｓｗｏｒｄ",
    "aaaaaaaaaa",
    "          ",
    "\u3000" * 9,
    " \t \t \t \t ",
    "ada.lovelace@example.com",
    "ADA.LOVELACE@EXAMPLE.COM",
    "ada.lovelace",
    "adalovelace",
    "lovelace1843",
    "Lovelace!!!!",
    "lovelace-ada",
    "example.com",
    "Songbook Pro",
    "songbook2026",
    "songbookpro!",
    "pro-songbook",
    "lovelace@songbook",
]


@pytest.fixture(scope="module")
def place(shared: World) -> Tenant:
    return shared.tenant(name="Songbook Pro")


@pytest.mark.parametrize("password", TOO_COMMON)
def test_what_anybody_would_guess_is_refused(place: Tenant, password: str) -> None:
    answer = place.sign_up("ada.lovelace@example.com", password)
    found = refused(answer, 422, "password_too_common", field="password")
    assert found["errors"] == [
        {"field": "password", "code": "password_too_common", "detail": found["detail"]}
    ]
    assert place.world.messages("ada.lovelace@example.com") == []


@pytest.mark.parametrize(
    "password",
    [
        "tr0ub4dor&3",
        "songbook is my favourite",
        "kx8#mQz2",
        "lovelace wrote the first program",
        "пароль-длинный-и-новый",
        "🐦🐧🦆🦉🦜🦢🦩🐓",
    ],
)
def test_no_rule_of_composition_stands_in_the_way(place: Tenant, password: str) -> None:
    assert place.sign_up("ada.lovelace+ok@example.com", password).status_code == 202


def test_the_least_length_is_the_applications(world: World) -> None:
    tenant = world.tenant(passwordMinLength=12)
    found = refused(tenant.sign_up(password="kx8#mQz2!ab"), 422, "password_too_short")
    assert [error["field"] for error in found["errors"]] == ["password"]
    assert tenant.sign_up(password="kx8#mQz2!abc").status_code == 202
    plain = world.tenant()
    refused(plain.sign_up(password="kx8#mQz"), 422, "password_too_short")
    assert plain.sign_up(password="kx8#mQz2").status_code == 202


def test_length_is_counted_in_the_form_in_which_passwords_are_compared(world: World) -> None:
    tenant = world.tenant()
    # Seven characters, typed as fourteen: each letter is followed by its accent.
    composed = "áéíóúýć"
    assert len(composed) == 7
    refused(tenant.sign_up(password=composed), 422, "password_too_short")
    decomposed = unicodedata.normalize("NFD", composed)
    assert len(decomposed) == 14
    refused(tenant.sign_up(password=decomposed), 422, "password_too_short")
    # One ligature is three letters.
    assert tenant.sign_up(password="ﬃxyzqw").status_code == 202
    assert len(unicodedata.normalize("NFKC", "ﬃxyzqw")) == 8


def test_a_password_takes_256_characters_and_is_never_cut(world: World) -> None:
    tenant = world.tenant()
    longest = ("0123456789abcdef" * 16)[:256]
    person = tenant.user(password=longest)
    assert person.signed_in().call("GET").status_code == 200
    refused(tenant.sign_in(password=longest[:-1]), 401, "invalid_credentials")
    refused(tenant.sign_in(password=longest + "0"), 401, "invalid_credentials")
    refused(tenant.sign_up("bob@example.com", longest + "0"), 422, "password_too_long")
    accents = unicodedata.normalize("NFD", "áéíóúýćñ" * 32)
    assert len(accents) == 512
    assert tenant.sign_up("bob@example.com", accents).status_code == 202
    # Eighteen characters come of this one.
    refused(tenant.sign_up("cid@example.com", "\ufdfa1" * 14), 422, "password_too_long")
    refused(tenant.sign_up("cid@example.com", "x1" * 513), 422, "validation_failed")


@pytest.mark.parametrize("password", [1, 1.5, True, None, ["x"], {"a": "b"}, ""])
def test_a_password_is_a_string(place: Tenant, password: object) -> None:
    for tail, rest in [
        ("/users", {"email": "ada@example.com"}),
        ("/users/verification", {"token": "x"}),
        ("/users/token", {"email": "ada@example.com"}),
    ]:
        answer = place.public("POST", tail, {**rest, "password": password})
        refused(answer, 422, "validation_failed")
    answer = place.public("PUT", "/users/password", {"token": "x", "password": password})
    refused(answer, 422, "validation_failed", field="password")


@pytest.mark.parametrize(
    ("stored", "same", "other"),
    [
        ("Ångström units", ["A\u030angstro\u0308m units"], ["Angstrom units", "ångström units"]),
        ("ﬁnal ﬂoor №5", ["final floor No5"], ["final floor 5"]),
        ("ｆｕｌｌ ｗｉｄｔｈ", ["full width", "full\u00a0width"], ["Full width"]),
        ("x" * 72 + "first", [], ["x" * 72 + "second", "x" * 72, "x" * 72 + "firs"]),
        ("ü" * 40 + "first", ["u\u0308" * 40 + "first"], ["ü" * 40 + "other"]),
        ("abc\u0000def12345678", [], ["abc", "abc\u0000zzz", "abcdef12345678", "abc\u0000"]),
        ("  leading and trailing  ", [], ["leading and trailing", "  leading and trailing"]),
        ("caseMatters here", [], ["casematters here", "CASEMATTERS HERE"]),
    ],
)
def test_a_password_is_compared_whole_in_one_form(
    world: World, stored: str, same: list[str], other: list[str]
) -> None:
    tenant = world.tenant()
    person = tenant.user(password=stored)
    for password in (stored, *same):
        assert tenant.sign_in(password=password).status_code == 200
    for password in other:
        refused(tenant.sign_in(password=password), 401, "invalid_credentials")
    # The same holds where a password is changed or set anew.
    token = tenant.reset_token()
    assert tenant.reset(token, stored).status_code == 204
    again = same[0] if same else stored
    change = {"currentPassword": again, "newPassword": PASSWORD}
    answer = tenant.me(person.signed_in().access, "PUT", "/password", change)
    assert answer.status_code == 204


def test_no_answer_repeats_a_password(place: Tenant) -> None:
    for password in ("hunter2", "hunter2" * 40, "hunter2" * 200, "hunter2\u0000"):
        for answer in (
            place.sign_up("ada@example.com", password),
            place.sign_in("ada@example.com", password),
            place.verify("x", password),
            place.reset("x", password),
        ):
            assert "hunter2" not in answer.text
