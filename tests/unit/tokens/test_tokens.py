"""What a client holds does not show where it is printed, and every name of ours is known."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.applications.types import Application, ApplicationSettings
from app.common.ids import ApplicationId
from app.common.secrets import Secret, encode
from app.settings import Settings
from app.tokens.logic import _header
from app.tokens.types import Claims, Grant

APP = Application(
    id=ApplicationId("019ca945-0a00-7001-9c76-e6773e9f1b85"),
    settings=ApplicationSettings(),
    created="2026-03-01T12:00:00.000Z",
    updated="2026-03-01T12:00:00.000Z",
)


def test_a_grant_shows_no_token() -> None:
    grant = Grant(access_token=Secret("access"), refresh_token=Secret("refresh"), expires_in=900)
    assert "access'" not in repr(grant)
    assert repr(grant).count("Secret(…)") == 2
    assert f"{grant.access_token}" == "access"


def test_claims_show_nobody() -> None:
    assert repr(Claims(user_id="ada", session_id="first", expires=1)) == "Claims()"


@pytest.mark.parametrize(
    ("origin", "known"),
    [
        ("http://localhost", True),
        ("http://localhost:8000", True),
        ("https://127.0.0.1:8443", True),
        ("http://[::1]:9", True),
        ("http://auth.localhost", True),
        ("http://192.0.2.1", False),
        ("http://localhost.example", False),
        ("http://localhost/x", False),
        ("http://user@localhost", False),
        ("HTTP://localhost", False),
        ("ftp://localhost", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_without_a_public_url_every_loopback_name_is_ours(origin: str, known: bool) -> None:
    here = Settings(data_dir=Path()).known_issuer
    assert here(origin + APP.path, APP, "http://127.0.0.1:1") is known
    assert here(origin + APP.path + "/", APP, "http://127.0.0.1:1") is False
    assert here(origin + APP.path[:-1], APP, "http://127.0.0.1:1") is False


def test_with_a_public_url_it_alone_is_ours() -> None:
    ours = "https://auth.example.com"
    there = Settings(data_dir=Path(), public_url=ours).known_issuer
    assert there(ours + APP.path, APP, ours)
    for origin in ("http://localhost", "https://auth.example.com:443", "https://evil.example"):
        assert not there(origin + APP.path, APP, ours)


def test_the_audience_is_the_application_unless_it_chose_another() -> None:
    assert APP.audience == APP.id
    chosen = replace(APP, settings=ApplicationSettings(audience="api"))
    assert chosen.audience == "api"


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "EdDSA", "typ": "at+jwt", "kid": "k" * 300},
        {"alg": "EdDSA", "typ": "at+jwt", "kid": ["k"]},
        {"alg": "EdDSA", "typ": "at+jwt", "kid": "k", "x": "y"},
        {"alg": "EdDSA", "typ": "at+jwt"},
    ],
)
def test_a_header_that_is_none_of_ours_is_not_remembered(header: dict[str, Any]) -> None:
    text = encode(json.dumps(header).encode())
    before = _header.cache_info().currsize
    with pytest.raises(ValueError, match="no header of ours"):
        _header(text)
    assert _header.cache_info().currsize == before
