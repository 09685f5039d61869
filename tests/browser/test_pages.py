import itertools
import re

import pytest
from playwright.sync_api import Page, expect

from tests.serving import ADMIN_KEY, Served

PASSWORD = "a quiet little bird"
numbers = itertools.count()
pytestmark = pytest.mark.usefixtures("shot")


def new_email() -> str:
    return f"ada{next(numbers)}@example.com"


def no_sideways_scrolling(page: Page) -> bool:
    body = page.locator("body").bounding_box()
    size = page.viewport_size
    assert body is not None
    assert size is not None
    return body["width"] <= size["width"]


def test_the_start_page_says_what_runs_and_where_to_go(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    for target in ("/docs", "/dev/messages", "/health", "/openapi.json"):
        expect(page.locator(f'a[href="{target}"]').first).to_be_visible()
    assert no_sideways_scrolling(page)


def test_a_person_verifies_the_address_on_the_page(page: Page, served: Served) -> None:
    application, email = served.create_application(name="Songbook"), new_email()
    served.http.post(f"{application}/users", json={"email": email, "password": PASSWORD})
    page.goto(served.message(email, kind="emailVerification")["url"])
    assert no_sideways_scrolling(page)
    page.get_by_label(re.compile("password", re.IGNORECASE)).fill("not the password")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label(re.compile("password", re.IGNORECASE)).fill(PASSWORD)
    page.get_by_role("button").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("verified")
    signed_in = served.http.post(
        f"{application}/users/token", json={"email": email, "password": PASSWORD}
    )
    assert signed_in.status_code == 200


def test_a_link_that_was_used_says_so(page: Page, served: Served) -> None:
    application, email = served.create_application(), new_email()
    served.sign_up(application, email, PASSWORD)
    page.goto(served.message(email, kind="emailVerification")["url"])
    page.get_by_label(re.compile("password", re.IGNORECASE)).fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("not valid any more")


def test_a_person_chooses_a_new_password_by_keyboard_alone(page: Page, served: Served) -> None:
    application, email = served.create_application(name="Songbook"), new_email()
    served.sign_up(application, email, PASSWORD)
    served.http.post(f"{application}/users/password/reset", json={"email": email})
    page.goto(served.message(email, kind="passwordReset")["url"])
    assert no_sideways_scrolling(page)
    field = page.get_by_label(re.compile("password", re.IGNORECASE))
    for _ in range(10):
        if field.evaluate("field => field === document.activeElement"):
            break
        page.keyboard.press("Tab")
    page.keyboard.type("password1")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    field.focus()
    page.keyboard.type("an even quieter bird")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("changed")
    signed_in = served.http.post(
        f"{application}/users/token", json={"email": email, "password": "an even quieter bird"}
    )
    assert signed_in.status_code == 200


def test_what_an_owner_typed_is_shown_as_text(page: Page, served: Served) -> None:
    name = '<script>alert(1)</script>"><img src=x> {{7*7}}'
    application, email = served.create_application(name=name), new_email()
    served.http.post(f"{application}/users", json={"email": email, "password": PASSWORD})
    page.goto(served.message(email, kind="emailVerification")["url"])
    expect(page.get_by_text("<script>alert(1)</script>").first).to_be_visible()


def test_the_mailbox_shows_messages_and_finds_one_persons(page: Page, served: Served) -> None:
    application, email = served.create_application(name="Songbook"), new_email()
    served.http.post(f"{application}/users", json={"email": email, "password": PASSWORD})
    link = served.message(email, kind="emailVerification")["url"]
    page.goto(f"/dev/messages?to={email}")
    expect(page.get_by_text(email).first).to_be_visible()
    assert page.locator(f'a[href="{link}"]').count() == 1
    assert no_sideways_scrolling(page)
    page.goto("/dev/messages?to=nobody@example.com")
    assert page.locator(f'a[href="{link}"]').count() == 0


def test_a_suspended_application_refuses_with_a_page(page: Page, served: Served) -> None:
    application = served.create_application(applicationState="suspended")
    answer = page.goto(f"{application}/users/verification?token=x")
    assert answer is not None
    assert answer.status == 403
    expect(page.get_by_role("heading", level=1)).to_be_visible()


@pytest.mark.parametrize("page", ["desktop"], indirect=True)
def test_a_reader_of_the_docs_creates_an_application_there(page: Page) -> None:
    page.goto("/docs")
    page.get_by_role("button", name="Authorize").first.click()
    page.locator("#api_key_value").fill(ADMIN_KEY)
    page.locator(".auth-btn-wrapper .authorize").first.click()
    page.locator(".btn-done").first.click()
    operation = page.locator("#operations-Applications-createApplication")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table .response td").first).to_have_text(
        re.compile("^201")
    )
