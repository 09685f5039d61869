"""Verifiers that come off the shelf and know the issuer alone."""

import uuid

import jwt
import pytest

from tests.flows.client import Client, Grant, Inbox, sign_up
from tests.flows.verifier import verifier_of

PASSWORD = "a horse that nobody staples"


def signed_up(client: Client, inbox: Inbox, **settings: str) -> tuple[str, str, Grant]:
    """A new application's id and issuer, and the tokens of a user."""
    # An RSA key takes its time: whoever wants one says so.
    chosen = {"signingAlgorithm": "ES256", **settings}
    application = client.create_application(**chosen).done()
    client.read_jwks(application["id"]).done()
    email = f"ada-{uuid.uuid4().hex}@example.com"
    grant = sign_up(client, inbox, application["id"], email, PASSWORD)
    return application["id"], application["issuer"], grant


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_it_accepts_our_token_and_refuses_another_applications(
    client: Client, inbox: Inbox, algorithm: str
) -> None:
    app, issuer, grant = signed_up(client, inbox, signingAlgorithm=algorithm)
    _, foreign_issuer, foreign = signed_up(
        client, inbox, signingAlgorithm=algorithm, audience="https://api.example.com"
    )
    verifier = verifier_of(issuer)
    claims = verifier.verify(grant["accessToken"], audience=app)
    assert claims["sub"] == client.read_me(app, grant["accessToken"]).done()["id"]
    assert jwt.get_unverified_header(grant["accessToken"])["alg"] == algorithm
    with pytest.raises(jwt.PyJWKClientError):
        verifier.verify(foreign["accessToken"])

    audience = "https://api.example.com"
    assert verifier_of(foreign_issuer).verify(foreign["accessToken"], audience)["aud"] == audience
    with pytest.raises(jwt.PyJWKClientError):
        verifier_of(foreign_issuer).verify(grant["accessToken"])


def test_it_refuses_a_token_whose_words_were_changed(client: Client, inbox: Inbox) -> None:
    _, issuer, grant = signed_up(client, inbox)
    head, body, signature = grant["accessToken"].split(".")
    other = jwt.encode({"sub": "somebody"}, "0" * 32, algorithm="HS256").split(".")[1]
    verifier = verifier_of(issuer)
    verifier.verify(f"{head}.{body}.{signature}")
    with pytest.raises(jwt.InvalidSignatureError):
        verifier.verify(f"{head}.{other}.{signature}")


def test_it_works_on_across_rotations(client: Client, inbox: Inbox) -> None:
    app, issuer, grant = signed_up(client, inbox)
    verifier = verifier_of(issuer, cooldown=0)
    verifier.verify(grant["accessToken"])
    for _ in range(3):
        client.rotate_keys(app).done()
        grant = client.refresh(app, grant["refreshToken"]).done()
        verifier.verify(grant["accessToken"])
        client.read_jwks(app).done()
    oldest = client.list_keys(app).done()["items"][0]
    assert oldest["state"] == "retired"
    client.revoke_key(app, oldest["kid"]).done()
    verifier_of(issuer).verify(grant["accessToken"])


def test_the_next_key_is_published_before_it_signs(client: Client, inbox: Inbox) -> None:
    app, issuer, grant = signed_up(client, inbox)
    verifier = verifier_of(issuer)
    verifier.verify(grant["accessToken"])
    published = {key.key_id for key in verifier.keys.get_signing_keys()}
    client.rotate_keys(app).done()
    newer = client.refresh(app, grant["refreshToken"]).done()
    assert jwt.get_unverified_header(newer["accessToken"])["kid"] in published


def test_it_refuses_a_token_signed_by_a_revoked_key(client: Client, inbox: Inbox) -> None:
    app, issuer, grant = signed_up(client, inbox)
    kid = jwt.get_unverified_header(grant["accessToken"])["kid"]
    client.read_jwks(app).done()
    client.rotate_keys(app).done()
    verifier_of(issuer).verify(grant["accessToken"])
    client.revoke_key(app, kid).done()
    with pytest.raises(jwt.PyJWKClientError):
        verifier_of(issuer).verify(grant["accessToken"])
