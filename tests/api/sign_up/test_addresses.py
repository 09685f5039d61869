"""Which addresses are taken, and which of them are one and the same."""

import pytest

from app.messages.types import MessageKind
from tests.api.world import PASSWORD, Tenant, World, body, refused

ACCEPTED = [
    ("ada@example.com", "ada@example.com"),
    ("Ada@EXAMPLE.com", "Ada@example.com"),
    ("a+tag@example.com", "a+tag@example.com"),
    ("o'brien@example.com", "o'brien@example.com"),
    ("a%b&c#d!e$f*g=h?i^j`k{l|m}n~o/p@example.com", "a%b&c#d!e$f*g=h?i^j`k{l|m}n~o/p@example.com"),
    ("x@xn--bcher-kva.example", "x@xn--bcher-kva.example"),
    ("x@bücher.example", "x@xn--bcher-kva.example"),
    ("x@BÜCHER.example", "x@xn--bcher-kva.example"),
    ("x@bu\u0308cher.example", "x@xn--bcher-kva.example"),
    ("ü@example.com", "ü@example.com"),
    ("u\u0308@example.com", "ü@example.com"),
    ("δοκιμή@example.com", "δοκιμή@example.com"),
    ("ada@sub.sub.example.test", "ada@sub.sub.example.test"),
    ("ada@example.invalid", "ada@example.invalid"),
    ("x" * 64 + "@example.com", "x" * 64 + "@example.com"),
    ("x" * 64 + "@" + "y" * 63 + "." + "z" * 63 + "." + "w" * 57 + ".com", None),
]
REFUSED = [
    "ada",
    "@example.com",
    "ada@",
    "ada@@example.com",
    "ada@example..com",
    "ada@.example.com",
    ".ada@example.com",
    "ada.@example.com",
    "a..da@example.com",
    "ada@example.com.",
    "ada@localhost",
    "ada@[127.0.0.1]",
    "ada@127.0.0.1",
    " ada@example.com",
    "ada@example.com ",
    "a da@example.com",
    "ada@exam ple.com",
    "ada@example.com\n",
    "ada@example.com\r\nBcc: eve@example.com",
    "ada\u0000@example.com",
    "ada@example.com\u0000",
    "ada@example.com,eve@example.com",
    "ada@example.com;eve@example.com",
    '"ada@example.com"@evil.example',
    '"a b"@example.com',
    "<ada@example.com>",
    "Ada <ada@example.com>",
    "ada@example.com (comment)",
    "ada\uff20example.com",
    "ada@exam_ple.com",
    "ada@-example.com",
    "ada\u202e@example.com",
    "x" * 65 + "@example.com",
    "ada@" + "y" * 64 + ".com",
    "ada@" + ".".join(["y" * 60] * 5),
    "ada@xn--.example",
    "ada@xn--a.example",
    "ada@\u2488.example",
]
SAME = [
    ("ada@example.com", ["ADA@EXAMPLE.COM", "Ada@Example.Com", "aDa@example.COM"]),
    ("x@bücher.example", ["x@xn--bcher-kva.example", "X@BÜCHER.EXAMPLE", "x@bu\u0308cher.example"]),
    ("ünal@example.com", ["u\u0308nal@example.com", "ÜNAL@example.com", "U\u0308NAL@example.com"]),
    ("Straße@example.com", ["STRASSE@example.com", "strasse@example.com"]),
    ("σίγμας@example.com", ["ΣΊΓΜΑΣ@example.com"]),
]


@pytest.fixture(scope="module")
def place(shared: World) -> Tenant:
    return shared.tenant()


@pytest.mark.parametrize(("typed", "stored"), ACCEPTED)
def test_an_address_is_normalised_and_written_to(
    place: Tenant, typed: str, stored: str | None
) -> None:
    answer = place.sign_up(typed)
    assert answer.status_code == 202, answer.text
    assert place.world.last_message(stored or typed).to == (stored or typed)


@pytest.mark.parametrize("typed", REFUSED)
def test_what_is_not_one_address_is_refused(place: Tenant, typed: str) -> None:
    written = len(place.world.messages())
    for answer in (
        place.sign_up(typed),
        place.sign_in(typed),
        place.ask_reset(typed),
        place.public("POST", "/users/verification/send", {"email": typed}),
    ):
        found = refused(answer, 422, answer.json().get("code", ""), field="email")
        assert found["code"] in {"invalid_email", "validation_failed"}
    assert len(place.world.messages()) == written


def test_an_address_takes_254_characters(place: Tenant) -> None:
    head, end = "x" * 64 + "@" + "y" * 63 + "." + "z" * 63 + ".", ".com"
    longest = head + "w" * (254 - len(head) - len(end)) + end
    assert len(longest) == 254
    assert place.sign_up(longest).status_code == 202
    longer = head + "w" * (255 - len(head) - len(end)) + end
    refused(place.sign_up(longer), 422, "validation_failed", field="email")


def test_the_normalised_address_is_bounded_too(place: Tenant) -> None:
    domain = ".".join(["ü" * 30] * 7)
    assert len(f"x@{domain}.com") < 254
    refused(place.sign_up(f"x@{domain}.com"), 422, "invalid_email", field="email")


@pytest.mark.parametrize("address", [1, 1.5, True, None, ["a@example.com"], {"a": "b"}, "", []])
def test_an_address_is_a_string(place: Tenant, address: object) -> None:
    answer = place.public("POST", "/users", {"email": address, "password": PASSWORD})
    refused(answer, 422, "validation_failed", field="email")


@pytest.mark.parametrize(("stored", "others"), SAME)
def test_two_spellings_of_one_address_are_one_user(
    world: World, stored: str, others: list[str]
) -> None:
    tenant = world.tenant()
    tenant.sign_up(stored)
    token = world.messages()[0].token
    person = body(tenant.verify(token))
    kept = body(tenant.me(person["accessToken"]))["email"]
    for spelling in others:
        assert tenant.sign_up(spelling, "some other password").status_code == 202
        notice = world.messages()[0]
        assert (notice.kind, notice.to) == (MessageKind.ADDRESS_IN_USE, kept)
        assert tenant.sign_in(spelling).status_code == 200
        found = tenant.world.send(
            "GET",
            str(
                world.client.build_request(
                    "GET", f"{tenant.base}/users", params={"email": spelling}
                ).url
            ),
            key="test-admin-key-0123456789abcdef",
        )
        assert [item["email"] for item in body(found)["items"]] == [kept]
        assert tenant.ask_reset(spelling).status_code == 202
        reset = world.messages()[0]
        assert (reset.kind, reset.to) == (MessageKind.PASSWORD_RESET, kept)
    assert tenant.read()["userCount"] == 1


def test_addresses_that_differ_in_more_than_case_are_two_users(world: World) -> None:
    tenant = world.tenant()
    people = [
        tenant.user(email)
        for email in ("ada@example.com", "a.da@example.com", "ada+x@example.com", "adá@example.com")
    ]
    assert len({person.id for person in people}) == 4
    assert tenant.read()["userCount"] == 4


@pytest.mark.parametrize("local", ["a+tag", "o'brien", "a%25b#c&d=e", "{x}/?"])
def test_a_reset_works_for_exactly_that_address(place: Tenant, local: str) -> None:
    person = place.user(f"{local}@example.com")
    assert place.reset(place.reset_token(person.email)).status_code == 204
    refused(place.sign_in(person.email, PASSWORD), 401, "invalid_credentials")
    refused(person.call("GET"), 401, "invalid_token")
