"""Attacks on sign-up and verification (catalogue 1.1)."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.api.world import (
    EMAIL,
    NEW_PASSWORD,
    PASSWORD,
    Person,
    Tenant,
    World,
    alike,
    open_world,
    refused,
)
from tests.security.store import kept

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
MANY = 24


def test_reg_06_a_password_of_another_sign_up_counts_against_the_token(tenant: Tenant) -> None:
    mine = tenant.invitation("ada@example.com", PASSWORD)
    theirs = tenant.invitation("bob@example.com", NEW_PASSWORD)
    for _ in range(5):
        refused(tenant.verify(mine, NEW_PASSWORD), 401, "invalid_credentials")
    refused(tenant.verify(mine, PASSWORD), 400, "invalid_token")
    assert tenant.verify(theirs, NEW_PASSWORD).status_code == 200
    assert tenant.read()["userCount"] == 1


def test_reg_07_a_token_is_of_one_application_even_for_the_same_address(world: World) -> None:
    one, other = world.tenant(), world.tenant()
    token = one.invitation()
    other.invitation()
    headers = {"X-Application-Id": one.id, "Referer": f"http://localhost{one.base}"}
    sent = {"token": token, "password": PASSWORD}
    answer = other.public(
        "POST", f"/users/verification?applicationId={one.id}", sent, headers=headers
    )
    refused(answer, 400, "invalid_token")
    sent |= {"applicationId": one.id}
    refused(other.public("POST", "/users/verification", sent), 422, "validation_failed")
    page = other.public("GET", f"/users/verification?token={token}")
    assert one.id not in page.text
    content = f"token={token}&password={PASSWORD}&applicationId={one.id}".encode()
    posted = other.public("POST", "/users/verification/form", content=content, headers=FORM)
    assert posted.status_code == 400
    assert (one.read()["userCount"], other.read()["userCount"]) == (0, 0)
    assert one.verify(token).status_code == 200


def test_reg_08_parallel_guesses_at_two_workers_are_five_at_most(world: World) -> None:
    tenant = world.tenant()
    with (
        open_world(world.folder, hour=world.hour, rate_limits="off") as worker,
        ThreadPoolExecutor(MANY) as pool,
    ):
        doors = [tenant, replace(tenant, world=worker)]
        for number in range(3):
            token = tenant.invitation(f"ada{number}@example.com")

            def guess(place: int, token: str = token) -> int:
                return doors[place % 2].verify(token, f"wrong guess {place}").status_code

            tally = Counter(pool.map(guess, range(MANY)))
            assert tally == {401: 5, 400: MANY - 5}
            refused(tenant.verify(token), 400, "invalid_token")
    assert tenant.read()["userCount"] == 0


def test_reg_09_a_form_and_an_operation_complete_one_token_once(world: World) -> None:
    tenant = world.tenant()
    token = tenant.invitation(password="a-plain-password-of-words")

    def complete(place: int) -> int:
        if place % 2:
            return tenant.verify(token, "a-plain-password-of-words").status_code
        content = f"token={token}&password=a-plain-password-of-words".encode()
        page = "/users/verification/form"
        return tenant.public("POST", page, content=content, headers=FORM).status_code

    with ThreadPoolExecutor(8) as pool:
        tally = Counter(pool.map(complete, range(8)))
    assert tally[200] == 1, tally
    assert tally.keys() <= {200, 400}
    assert tenant.read()["userCount"] == 1


def test_reg_11_of_many_resendings_at_once_only_the_last_token_works(world: World) -> None:
    tenant = world.tenant()
    tenant.invitation()

    def send(_: int) -> int:
        return tenant.public("POST", "/users/verification/send", {"email": EMAIL}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(send, range(8))) == {202}
    tokens = [message.token for message in world.messages(EMAIL)]
    good = [token for token in tokens if tenant.verify(token).status_code == 200]
    assert len(good) == 1
    assert tenant.read()["userCount"] == 1


def test_reg_13_a_closed_application_makes_nobody_by_any_route(world: World) -> None:
    tenant = world.tenant(signUp="closed")
    before = kept(world, tenant.id)
    email = "new@example.com"
    content = f"token=x&password={PASSWORD}&email={email}".encode()
    for page in ("/users/verification/form", "/users/password/reset/form"):
        posted = tenant.public("POST", page, content=content, headers=FORM)
        assert posted.status_code == 400
    refused(tenant.sign_up(email), 403, "sign_up_closed")
    refused(tenant.sign_in(email), 401, "invalid_credentials")
    assert tenant.ask_reset(email).status_code == 202
    sent = {"email": email}
    assert tenant.public("POST", "/users/verification/send", sent).status_code == 202
    for token in ("x", "A" * 43):
        refused(tenant.verify(token), 400, "invalid_token")
        refused(tenant.reset(token), 400, "invalid_token")
    assert world.messages() == []
    assert kept(world, tenant.id) == before


@pytest.fixture(scope="module")
def ada(shared: World) -> Person:
    return shared.tenant().user("ada@example.com")


@pytest.mark.parametrize(
    "spelling",
    [
        "ADA@EXAMPLE.COM",
        "ada@ＥＸＡＭＰＬＥ.com",
        "ada@example。com",
        "ada@ⓔxample.com",
        "Ada@example．com",
    ],
)
def test_reg_14_another_spelling_of_an_address_is_no_other_account(
    ada: Person, spelling: str
) -> None:
    tenant = ada.tenant
    assert tenant.sign_up(spelling, "an attacker's own phrase").status_code == 202
    assert tenant.world.messages()[0].kind.value == "addressInUse"
    assert tenant.world.messages()[0].to == ada.email
    refused(tenant.sign_in(spelling, "an attacker's own phrase"), 401, "invalid_credentials")
    assert tenant.sign_in(spelling, ada.password).status_code == 200
    assert tenant.read()["userCount"] == 1


@pytest.mark.parametrize("spelling", ["ａda@example.com", "аda@example.com", "adа@example.com"])
def test_reg_14_an_address_that_only_looks_alike_is_somebody_elses(
    ada: Person, spelling: str
) -> None:
    """Full-width and Cyrillic letters: mail to them does not reach the owner, so nor do resets."""
    tenant = ada.tenant
    refused(tenant.sign_in(spelling, ada.password), 401, "invalid_credentials")
    before = len(tenant.world.messages(ada.email))
    assert tenant.ask_reset(spelling).status_code == 202
    assert tenant.sign_up(spelling).status_code == 202
    assert len(tenant.world.messages(ada.email)) == before
    assert tenant.world.messages()[0].to == spelling


@pytest.mark.parametrize(
    "address",
    [
        "ada@exa\u00admple.com",
        "ada\u200b@example.com",
        "\ufeffada@example.com",
        "ada@example.com\u3000",
        "ada＠example.com",
        "ada@exam\u200dple.com",
        "ada@0x7f.1",
        "ada@com",
        "ada@xn--ls8h.example",
        "ada\t@example.com",
        "ada@example.com%00",
        "ada@example.com%0d%0aBcc:eve@example.com",
        "=?utf-8?q?ada?=@example.com <eve@example.com>",
    ],
)
def test_reg_14_what_hides_something_is_no_address(ada: Person, address: str) -> None:
    written = len(ada.tenant.world.messages())
    refused(ada.tenant.sign_up(address), 422, "invalid_email", field="email")
    refused(ada.tenant.ask_reset(address), 422, "invalid_email", field="email")
    refused(ada.tenant.sign_in(address), 422, "invalid_email", field="email")
    assert len(ada.tenant.world.messages()) == written


def test_reg_15_a_domain_and_its_punycode_are_one_account(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user("ü@xn--bcher-kva.example")
    for spelling in ("ü@bücher.example", "Ü@BÜCHER.example", "u\u0308@bu\u0308cher.example"):
        assert tenant.sign_up(spelling, NEW_PASSWORD).status_code == 202
        assert world.messages()[0].kind.value == "addressInUse"
        assert tenant.sign_in(spelling, person.password).status_code == 200
    # Two domains since IDNA 2008, and two accounts.
    tenant.user("ada@xn--strae-oqa.example")
    tenant.user("ada@strasse.example")
    assert tenant.sign_up("ada@straße.example").status_code == 202
    assert world.messages()[0].to == "ada@xn--strae-oqa.example"
    assert tenant.read()["userCount"] == 3


@pytest.mark.parametrize("state", ["unknown", "deleted", "suspended"])
def test_reg_16_no_public_route_writes_under_an_application_that_takes_none(
    world: World, state: str
) -> None:
    tenant = world.tenant()
    if state == "unknown":
        tenant = replace(tenant, id="019ca945-0a00-7001-9c76-e6773e9f1b85")
    elif state == "deleted":
        assert tenant.admin("DELETE").status_code == 204
    else:
        tenant.update(applicationState="suspended")
    code = (
        (403, "application_suspended") if state == "suspended" else (404, "application_not_found")
    )
    before = kept(world, tenant.id)
    for answer in (
        tenant.sign_up(),
        tenant.verify("x"),
        tenant.public("POST", "/users/verification/send", {"email": EMAIL}),
        tenant.sign_in(),
        tenant.refresh("x"),
        tenant.revoke("x"),
        tenant.ask_reset(),
        tenant.reset("x"),
    ):
        refused(answer, *code)
    for page in ("/users/verification/form", "/users/password/reset/form"):
        posted = tenant.public("POST", page, content=b"token=x&password=y", headers=FORM)
        assert posted.status_code == code[0]
    assert world.messages() == []
    assert kept(world, tenant.id) == before


def test_reg_17_a_forbidden_password_leaves_nothing(shared: World) -> None:
    tenant = shared.tenant(name="Songbook")
    before = kept(shared, tenant.id)
    for password, code in (
        ("kx8#mQz", "password_too_short"),
        ("", "validation_failed"),
        (" " * 12, "password_too_common"),
        ("\u200b" * 12, "password_too_common"),
        ("\u0301" * 12, "password_too_common"),
        ("\u3164" * 12, "password_too_common"),
        ("iloveyou1", "password_too_common"),
        ("P@ssw0rd", "password_too_common"),
        ("QwErTyUiOp", "password_too_common"),
        ("１２３４５６７８９０", "password_too_common"),
        ("new.person@example.com", "password_too_common"),
        ("Songbook1!", "password_too_common"),
        ("songbook songbook", "password_too_common"),
    ):
        answer = tenant.sign_up("new.person@example.com", password)
        refused(answer, 422, code, field="password")
    assert shared.messages("new.person@example.com") == []
    assert kept(shared, tenant.id) == before


@pytest.mark.parametrize(
    "password",
    [
        "987654321",
        "87654321",
        "0987654321",
        "0123456789",
        "123123123",
        "12341234",
        "12121212",
        "abcdefgh",
        "lovelove",
        "jennifer",
        "michelle",
        "jonathan",
        "elizabeth",
        "alexander",
        "chocolate",
        "basketball",
        "beautiful",
        "december",
    ],
)
def test_reg_17_what_stands_high_on_every_list_is_too_common(shared: World, password: str) -> None:
    refused(shared.tenant().sign_up("x@example.com", password), 422, "password_too_common")


@pytest.mark.parametrize("length", [64, 128, 256])
def test_reg_18_a_long_password_counts_to_its_last_character(world: World, length: int) -> None:
    tenant = world.tenant()
    password = ("пароль 🐦 of many words " * 20)[: length - 1] + "!"
    tenant.user(password=password)
    assert tenant.sign_in(password=password).status_code == 200
    for wrong in (password[:-1], password[:-1] + "?", password[1:], password.strip() + " "):
        refused(tenant.sign_in(password=wrong), 401, "invalid_credentials")


def test_enu_06_nobody_looks_a_user_up_without_a_key(shared: World) -> None:
    person = shared.tenant().user()
    tenant = person.tenant
    for who in (person.id, "019ca945-0a00-7001-9c76-e6773e9f1b85", person.email):
        answers = [
            tenant.public("GET", f"/users/{who}"),
            tenant.public("GET", f"/users?email={who}"),
            tenant.public("GET", f"/users/{who}", token=person.access),
        ]
        for answer in answers:
            refused(answer, 401, "invalid_api_key")
            assert alike(answer, answers[0])


def test_enu_08_without_the_store_known_and_unknown_are_refused_alike(world: World) -> None:
    tenant = world.tenant()
    tenant.user()
    world.spoilt = True
    world.services.close()
    world.folder.rename(world.folder.with_name("elsewhere"))
    for tail, more in (
        ("/users", {"password": PASSWORD}),
        ("/users/token", {"password": PASSWORD}),
        ("/users/password/reset", {}),
        ("/users/verification/send", {}),
    ):
        known = tenant.public("POST", tail, {"email": EMAIL, **more})
        unknown = tenant.public("POST", tail, {"email": "nobody@example.com", **more})
        refused(known, 503, "temporarily_unavailable")
        assert alike(known, unknown)
    world.services.close()
    world.folder.with_name("elsewhere").rename(world.folder)
