import re
import subprocess
import sys
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from app.web import pages
from app.web.pages import html_response, render

STATIC = Path(pages.__file__).parent / "static"
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
TOKEN = "k9-_Zq" + "A" * 37
HOSTILE = [
    "<script>alert(1)</script>",
    "{{7*7}}",
    "${7*7}",
    '"><img src=x onerror=alert(1)>',
    "'鳥 🐦",
]


@dataclass(frozen=True)
class Shown:
    """What the mailbox page reads of a message."""

    id: str = "0193-a"
    to: str = "ada@example.com"
    subject: str = "Confirm your email address"
    kind: str = "emailVerification"
    created: str = "2026-11-05T09:04:59.120Z"
    text: str = "Open the link:\n\nhttps://app.example.com/?a=1&token=x\n"
    url: str | None = "https://app.example.com/?a=1&token=x"


FORM: dict[str, Any] = {
    "application_name": "Acme",
    "action": "/v1/applications/a1/users/form",
    "token": TOKEN,
    "problem": None,
}
PAGES: dict[str, dict[str, Any]] = {
    "verification.html": FORM,
    "password_reset.html": FORM | {"min_length": 12},
    "done.html": {"heading": "Verified", "text": "Sign in now."},
    "refused.html": {"heading": "Not valid", "text": "Ask for a new link."},
    "start.html": {
        "version": "0.1.0",
        "store": "sqlite",
        "admin_key_path": "/data/it's here/admin.key",
        "origin": "http://127.0.0.1:8000",
    },
    "mailbox.html": {"messages": [Shown(), Shown(id="0193-b", url=None)], "to": ""},
}
FORMS = ["verification.html", "password_reset.html"]


class Page(HTMLParser):
    """A page's elements and text, as a browser would have them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.preformatted: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "img", "input"}:
            self.open.append(tag)
        if tag == "pre":
            self.preformatted.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if "pre" in self.open:
            self.preformatted[-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def values(self, attribute: str) -> list[str | None]:
        return [found[attribute] for _, found in self.elements if attribute in found]


def page(name: str, **changes: Any) -> Page:
    return Page(render(name, **(PAGES[name] | changes)))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_and_has_its_landmarks(name: str) -> None:
    found = page(name)
    assert found.open == []
    assert found.all("html") == [{"lang": "en"}]
    for landmark in ("header", "main", "footer", "h1", "title"):
        assert len(found.all(landmark)) == 1
    assert all("alt" in image for image in found.all("img"))
    ids = found.values("id")
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_needs_nothing_that_its_policy_forbids(name: str) -> None:
    found = page(name)
    assert not {"script", "style", "iframe", "base"} & {tag for tag, _ in found.elements}
    attributes = {name for _, found in found.elements for name in found}
    assert not {name for name in attributes if name == "style" or name.startswith("on")}
    for link in found.all("link"):
        assert str(link["href"]).startswith("/static/")
        assert (STATIC / str(link["href"]).removeprefix("/static/")).is_file()
    assert {image["src"] for image in found.all("img")} == {"/static/passerine.svg"}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name in PAGES for value in PAGES[name]]
)
def test_a_page_that_lacks_a_value_is_not_shown(name: str, value: str) -> None:
    context = {key: given for key, given in PAGES[name].items() if key != value}
    with pytest.raises(UndefinedError):
        render(name, **context)


@pytest.mark.parametrize("name", PAGES)
def test_every_field_has_a_label(name: str) -> None:
    found = page(name)
    labels = {label["for"] for label in found.all("label")}
    fields = [field for field in found.all("input") if field.get("type") != "hidden"]
    assert {field["id"] for field in fields} == labels


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("text", HOSTILE)
def test_values_are_shown_as_text(name: str, text: str) -> None:
    hostile = Shown(to=text, subject=text, kind=text, text=text)
    texts: dict[str, Any] = {
        key: text for key, given in PAGES[name].items() if isinstance(given, str) and key != "to"
    }
    if "messages" in PAGES[name]:
        texts |= {"messages": [hostile, hostile], "to": text}
    found, harmless = page(name, **texts), page(name)
    assert text in found.text
    assert "49" not in found.text
    tags = {tag for tag, _ in found.elements}
    assert "script" not in tags
    assert len(found.all("img")) == len(harmless.all("img"))
    assert not [key for _, given in found.elements for key in given if key.startswith("on")]


@pytest.mark.parametrize("name", FORMS)
def test_a_form_posts_the_hidden_token_and_the_password(name: str) -> None:
    found = page(name)
    (form,) = found.all("form")
    assert form == {"method": "post", "action": FORM["action"]}
    hidden, password = found.all("input")
    assert hidden == {"type": "hidden", "name": "token", "value": TOKEN}
    assert (password["type"], password["name"]) == ("password", "password")
    assert "required" in password
    assert "maxlength" not in password  # browsers would cut a longer password silently
    assert "Acme" in found.text


@pytest.mark.parametrize("name", FORMS)
def test_the_token_is_in_the_hidden_field_alone(name: str) -> None:
    assert render(name, **PAGES[name]).count(TOKEN) == 1


def test_password_managers_know_which_password_is_asked_for() -> None:
    assert page("verification.html").all("input")[1]["autocomplete"] == "current-password"
    reset = page("password_reset.html")
    assert reset.all("input")[1]["autocomplete"] == "new-password"
    assert reset.all("input")[1]["minlength"] == "12"
    assert "At least 12 characters" in reset.text


@pytest.mark.parametrize("name", FORMS)
def test_a_problem_is_announced_and_tied_to_its_field(name: str) -> None:
    assert page(name).values("role") == []
    found = page(name, problem="Too short.")
    (alert,) = [given for _, given in found.elements if given.get("role") == "alert"]
    password = found.all("input")[1]
    assert str(alert["id"]) in str(password["aria-describedby"]).split()
    assert password["aria-invalid"] == "true"
    assert "Too short." in found.text
    assert "Problem: " in found.text


@pytest.mark.parametrize("name", FORMS)
def test_a_form_does_without_an_application_name(name: str) -> None:
    assert page(name, application_name="").all("strong") == []


def test_the_start_page_says_what_runs_and_where_to_go() -> None:
    found = page("start.html")
    for shown in ("0.1.0", "sqlite", "/data/it's here/admin.key", "http://127.0.0.1:8000"):
        assert shown in found.text
    assert {"/docs", "/openapi.json", "/health", "/dev/messages"} <= set(found.values("href"))


@pytest.mark.parametrize("place", ["/data/it's $(touch x) here/admin.key", "the setting X"])
def test_the_tour_is_made_of_four_steps_that_a_shell_can_read(place: str, tmp_path: Path) -> None:
    steps = page("start.html", admin_key_path=place).preformatted
    assert len(steps) == 4
    assert [step for step in steps if "curl" in step] == steps
    script = "\n".join(steps)
    shell = subprocess.run(["bash", "-n"], input=script, text=True, check=False, cwd=tmp_path)
    assert shell.returncode == 0


def test_the_tour_reads_the_key_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "it's $(touch x) here"
    path.write_text("psk_key")
    for place in (str(path), "the setting PASSERINE_ADMIN_API_KEY"):
        first = page("start.html", admin_key_path=place).preformatted[0]
        (line,) = [line for line in first.splitlines() if line.startswith("KEY=")]
        done = subprocess.run(
            ["bash", "-c", f'{line}\nprintf %s "$KEY"'],
            env={"PASSERINE_ADMIN_API_KEY": "psk_key", "PATH": "/usr/bin:/bin"},
            capture_output=True,
            cwd=tmp_path,
            check=True,
        )
        assert done.stdout == b"psk_key"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_the_mailbox_lists_its_messages_with_their_links() -> None:
    older = Shown(id="0193-b", to="bo@example.com", kind="passwordChanged", url=None)
    found = page("mailbox.html", messages=[Shown(), older])
    for shown in (Shown().to, older.to, Shown().subject, Shown().kind, older.kind, Shown().created):
        assert shown in found.text
    assert found.values("href").count(Shown().url) == 1
    assert found.preformatted == [Shown().text, older.text]
    assert [given for tag, given in found.elements if tag == "details"] == [{"open": None}, {}]


def test_the_mailbox_can_be_narrowed_to_an_address() -> None:
    found = page("mailbox.html", to="ada@example.com")
    (form,) = found.all("form")
    assert (form["method"], form["action"]) == ("get", "/dev/messages")
    (field,) = found.all("input")
    assert (field["name"], field["value"]) == ("to", "ada@example.com")
    assert "Show all" in found.text


def test_an_empty_mailbox_says_so() -> None:
    assert "No message yet" in page("mailbox.html", messages=[]).text
    assert (
        "No message to eve@example.com"
        in page("mailbox.html", messages=[], to="eve@example.com").text
    )


def test_a_response_is_kept_framed_and_scripted_by_nobody() -> None:
    response = html_response("refused.html", status=403, heading="Suspended", text="Come back.")
    assert response.status_code == 403
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["content-security-policy"] == POLICY
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cross-origin-opener-policy"] == "same-origin"
    assert "Suspended" in bytes(response.body).decode()
    assert html_response("done.html", heading="a", text="b").status_code == 200


def test_the_template_engine_is_imported_when_the_first_page_is_shown() -> None:
    script = (
        "import sys; import app.web.pages, app.messages.logic; assert 'jinja2' not in sys.modules\n"
        "app.web.pages.render('done.html', heading='a', text='b'); assert 'jinja2' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], cwd=STATIC.parents[2], check=True)


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_can_be_told_apart(scheme: int) -> None:
    style = (STATIC / "passerine.css").read_text()
    block = re.findall(r":root \{(.*?)\}", style, re.DOTALL)[scheme]
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))
    grounds = ["paper", "card", "code"]
    texts = [(text, ground) for text in ("ink", "quiet", "accent") for ground in grounds]
    pairs = dict.fromkeys([*texts, ("on-accent", "accent"), ("problem", "problem-ground")], 4.5)
    pairs |= {(edge, ground): 3.0 for edge in ("field", "focus") for ground in ("paper", "card")}
    for (one, other), least in pairs.items():
        low, high = sorted([luminance(colours[one]), luminance(colours[other])])
        assert (high + 0.05) / (low + 0.05) >= least, (one, other)
