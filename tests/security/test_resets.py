"""Attacks on password resets (catalogue 1.3)."""

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html import unescape
from urllib.parse import quote_plus, urlencode, urlsplit

import pytest

from app.messages.types import MessageKind
from tests.api.world import (
    EMAIL,
    NEW_PASSWORD,
    PASSWORD,
    Tenant,
    World,
    body,
    open_world,
    refused,
)
from tests.security.store import kept

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
FIELD = re.compile(r'name="token" value="([^"]*)"')
ACTION = re.compile(r'<form[^>]* action="([^"]*)"')


def _post(tenant: Tenant, page: str, **fields: str) -> int:
    return tenant.world.send(
        "POST", page, content=urlencode(fields).encode(), headers=FORM
    ).status_code


def test_rst_01_asking_for_nobodys_reset_leaves_nothing_in_the_way(world: World) -> None:
    tenant = world.tenant()
    before = kept(world, tenant.id)
    for _ in range(5):
        assert tenant.ask_reset("nobody@example.com").status_code == 202
    assert kept(world, tenant.id) == before
    assert world.messages() == []
    assert tenant.user("nobody@example.com").call("GET").status_code == 200


def test_rst_03_the_form_and_the_operation_spend_one_token_once(world: World) -> None:
    tenant = world.tenant()
    tenant.user()
    token = tenant.reset_token()
    page = f"{tenant.base}/users/password/reset/form"
    with (
        open_world(world.folder, hour=world.hour, rate_limits="off") as worker,
        ThreadPoolExecutor(12) as pool,
    ):
        doors = [tenant, replace(tenant, world=worker)]

        def spend(place: int) -> int:
            password = f"some fresh words {place}"
            if place % 3:
                return doors[place % 2].reset(token, password).status_code
            return _post(doors[place % 2], page, token=token, password=password)

        statuses = list(pool.map(spend, range(12)))
    won = [place for place, status in enumerate(statuses) if status < 300]
    assert len(won) == 1, Counter(statuses)
    assert set(statuses) <= {200, 204, 400}
    opens = [n for n in range(12) if tenant.sign_in(password=f"some fresh words {n}").is_success]
    assert opens == won


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example",
        "//evil.example",
        "https://good.test.evil.example",
        "https://good.test@evil.example",
        "javascript:alert(1)",
    ],
)
def test_rst_08_a_link_leads_where_the_application_says(world: World, url: str) -> None:
    tenant = world.tenant(resetPasswordUrl="https://good.test/reset")
    tenant.user()
    tenant.reset(tenant.reset_token())
    names = ("redirectUrl", "redirect_url", "resetPasswordUrl", "url", "callback", "next")
    for name in names:
        sent = {"email": EMAIL, name: url}
        refused(tenant.public("POST", "/users/password/reset", sent), 422, "validation_failed")
    query = urlencode(dict.fromkeys(names, url))
    headers = {"Origin": "https://evil.example", "Referer": "https://evil.example/"}
    answer = tenant.public(
        "POST", f"/users/password/reset?{query}", {"email": EMAIL}, headers=headers
    )
    assert answer.status_code == 202
    message = world.last_message(EMAIL, MessageKind.PASSWORD_RESET)
    assert message.url == f"https://good.test/reset?token={message.token}"
    assert "evil" not in message.text + message.html


def test_rst_10_no_other_token_sets_a_password(world: World) -> None:
    tenant = world.tenant()
    ada, bob = tenant.user("ada@example.com"), tenant.user("bob@example.com")
    tenant.ask_reset(ada.email)
    pending = tenant.invitation("new@example.com")
    (own,) = body(ada.call("GET", "/sessions"))["items"]
    for name in (ada.id, own["id"], tenant.id, ada.email, "null", "0"):
        _refused_unnoted(tenant, name)
    for token in (pending, ada.access, ada.refresh):
        refused(tenant.reset(token, NEW_PASSWORD), 400, "invalid_token")
        refused(tenant.verify(token, NEW_PASSWORD), *_verdict(token, pending))
    refused(
        tenant.public("PUT", "/users/password", {"password": NEW_PASSWORD}),
        422,
        "validation_failed",
        field="token",
    )
    for digest in re.findall(r"#reset#([\w-]{43})", " ".join(row[0] for row in world.rows())):
        _refused_unnoted(tenant, digest)
    mine = tenant.reset_token(bob.email)
    assert tenant.reset(mine, NEW_PASSWORD).status_code == 204
    assert tenant.sign_in(ada.email, PASSWORD).status_code == 200
    refused(tenant.sign_in(ada.email, NEW_PASSWORD), 401, "invalid_credentials")


def _refused_unnoted(tenant: Tenant, token: str) -> None:
    """Past the ledger: these are no secrets, and stand in the store."""
    sent = {"token": token, "password": NEW_PASSWORD}
    for method, tail in (("PUT", "/users/password"), ("POST", "/users/verification")):
        answer = tenant.world.client.request(method, tenant.base + tail, json=sent)
        refused(answer, 400, "invalid_token")


def _verdict(token: str, pending: str) -> tuple[int, str]:
    return (401, "invalid_credentials") if token == pending else (400, "invalid_token")


def test_rst_11_the_form_names_nobody_else_either(world: World) -> None:
    tenant = world.tenant()
    tenant.user("ada@example.com")
    victim = tenant.user("bob@example.com")
    token = tenant.reset_token("ada@example.com")
    page = f"{tenant.base}/users/password/reset/form"
    more = {"email": victim.email, "userId": victim.id, "user_id": victim.id}
    assert _post(tenant, page, token=token, password=NEW_PASSWORD, **more) == 200
    assert victim.call("GET").status_code == 200
    refused(tenant.sign_in(victim.email, NEW_PASSWORD), 401, "invalid_credentials")
    assert tenant.sign_in("ada@example.com", NEW_PASSWORD).status_code == 200


def test_rst_15_a_reset_whose_answer_was_lost_is_done_once(tenant: Tenant) -> None:
    tenant.user()
    token = tenant.reset_token()
    assert tenant.reset(token).status_code == 204  # this answer never arrives
    refused(tenant.reset(token), 400, "invalid_token")
    assert tenant.sign_in(password=NEW_PASSWORD).status_code == 200
    refused(tenant.sign_in(password=PASSWORD), 401, "invalid_credentials")


def test_rst_16_a_reset_page_keeps_its_token_to_itself(tenant: Tenant) -> None:
    tenant.user()
    page = tenant.public("GET", f"/users/password/reset?token={tenant.reset_token()}")
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Cache-Control"] == "no-store"
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; img-src 'self'")
    links = re.findall(r'(?:src|href|action)="([^"]*)"', page.text)
    assert links
    assert all(link.startswith("/") and not link.startswith("//") for link in links)
    assert "<script" not in page.text


@pytest.mark.parametrize(
    "local",
    ["a+tag", "o'brien", "100%", "50%2b", "c#", "me&you", "a=b?c", "x/y", "~{|}^`*!$", "ü+é"],
)
def test_rst_19_an_odd_local_part_works_from_the_link_to_the_new_password(
    shared: World, local: str
) -> None:
    """All the way a person goes: message, link of either part, page, form, sign-in."""
    tenant = shared.tenant(name="Song & Book")
    email = f"{local}@example.com"
    tenant.user(email)
    neighbour = tenant.user("a tag@example.com".replace(" ", ""))
    tenant.ask_reset(email)
    message = shared.last_message(email, MessageKind.PASSWORD_RESET)
    assert message.to == email
    assert message.url is not None
    (linked,) = set(re.findall(r'href="([^"]+)"', message.html))
    assert unescape(linked) == message.url
    assert message.url in message.text.split()
    link = urlsplit(message.url)
    page = shared.send("GET", f"{link.path}?{link.query}")
    action, token = ACTION.search(page.text), FIELD.search(page.text)
    assert action is not None
    assert token is not None
    # A password of the same signs, as a browser posts it.
    password = f"{local} is my phrase"
    assert _post(tenant, unescape(action[1]), token=unescape(token[1]), password=password) == 200
    assert tenant.sign_in(email, password).status_code == 200
    refused(tenant.sign_in(email, PASSWORD), 401, "invalid_credentials")
    assert neighbour.call("GET").status_code == 200
    query = f"/users?email={quote_plus(email)}"
    assert [user["email"] for user in body(tenant.admin("GET", query))["items"]] == [email]
