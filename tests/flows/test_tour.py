"""The main flows, as a client sees them: told a base URL and an admin key, and nothing else."""

import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import pytest

from tests.cdk import deployed
from tests.flows.aws import ADMIN_KEY, PUBLIC_URL, SesInbox, cloud, function
from tests.flows.client import (
    CHANGED,
    IN_USE,
    RESET,
    VERIFICATION,
    Application,
    Client,
    Grant,
    Inbox,
    every_page,
    sign_up,
    wait_for_messages,
    wait_for_token,
)
from tests.flows.conftest import Deployment, connected, deployment_of, opened_deployment
from tests.flows.server import serving
from tests.gateway import SHAPES

PASSWORD = "a horse that nobody staples"
OTHER = "another horse, in another field"


WAYS = ("uvicorn on SQLite", "uvicorn on DynamoDB", *SHAPES, "cdk deploy")


@pytest.fixture(scope="module", params=WAYS)
def deployment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    way, folder = request.param, tmp_path_factory.mktemp("tour")
    if way == "uvicorn on SQLite":
        with opened_deployment(folder / "data") as opened:
            yield opened
        return
    if way == "cdk deploy":
        assembly = request.getfixturevalue("assembly")
        with deployed(folder, assembly) as on_aws:
            yield deployment_of(on_aws)
        return
    with cloud(folder) as there, ExitStack() as stack:
        url, transport = PUBLIC_URL, None
        if way in SHAPES:
            transport = stack.enter_context(function(there, way))
        else:
            server = stack.enter_context(serving(folder / "data", settings=there.settings))
            url = server.url
        yield Deployment(
            url=url,
            admin_key=ADMIN_KEY,
            transport=transport,
            inbox=lambda client: SesInbox(client=client, endpoint=there.endpoint),
        )


@pytest.fixture(scope="module")
def client(deployment: Deployment) -> Iterator[Client]:
    with connected(deployment) as opened:
        yield opened


@pytest.fixture(scope="module")
def inbox(deployment: Deployment, client: Client) -> Inbox:
    return deployment.inbox(client)


@pytest.fixture
def application(client: Client) -> Iterator[Application]:
    made = client.create_application(name="Songbook", signingAlgorithm="ES256").done()
    client.read_jwks(made["id"]).done()
    yield made
    for user in list(every_page(partial(client.list_users, made["id"]))):
        client.delete_user(made["id"], user["id"]).done()
    client.delete_application(made["id"]).done()


@pytest.fixture
def app(application: Application) -> str:
    return application["id"]


@pytest.fixture
def email() -> str:
    return f"ada-{uuid.uuid4().hex}@example.com"


@pytest.fixture
def grant(client: Client, inbox: Inbox, app: str, email: str) -> Grant:
    """A user, signed in."""
    return sign_up(client, inbox, app, email, PASSWORD)


def test_the_whole_tour(client: Client, inbox: Inbox, app: str, email: str) -> None:
    client.create_user(app, email, PASSWORD, metadata={"theme": "dark"}).done()
    client.sign_in(app, email, PASSWORD).refused(401, "invalid_credentials")
    token = wait_for_token(inbox, email, VERIFICATION)
    grant = client.verify_user(app, token, PASSWORD).done()
    assert (grant["tokenType"], grant["expiresIn"]) == ("Bearer", 900)

    me = client.read_me(app, grant["accessToken"]).done()
    assert (me["email"], me["emailVerified"], me["state"]) == (email, True, "active")
    assert me["metadata"] == {"theme": "dark"}
    assert client.read_application(app).done()["userCount"] == 1

    newer = client.refresh(app, grant["refreshToken"]).done()
    assert newer["refreshToken"] != grant["refreshToken"]
    assert client.read_me(app, newer["accessToken"]).done()["id"] == me["id"]

    client.revoke_token(app, newer["refreshToken"]).done()
    client.refresh(app, newer["refreshToken"]).refused(401, "invalid_refresh_token")
    client.read_me(app, newer["accessToken"]).refused(401, "invalid_token")

    client.request_reset(app, email).done()
    client.update_password(app, wait_for_token(inbox, email, RESET), OTHER).done()
    wait_for_messages(inbox, email, CHANGED)
    client.sign_in(app, email, PASSWORD).refused(401, "invalid_credentials")
    last = client.sign_in(app, email, OTHER).done()

    client.delete_me(app, last["accessToken"]).done()
    client.read_me(app, last["accessToken"]).refused(401, "invalid_token")
    client.sign_in(app, email, OTHER).refused(401, "invalid_credentials")
    assert client.read_application(app).done()["userCount"] == 0


def test_a_link_that_is_only_opened_uses_nothing_up(
    client: Client, inbox: Inbox, app: str, email: str
) -> None:
    client.create_user(app, email, PASSWORD).done()
    message = wait_for_messages(inbox, email, VERIFICATION)[0]
    assert message.url is not None
    assert message.url in message.text
    for _ in range(3):
        page = client.page(message.url)
        assert page.status == 200
        assert "<form" in page.text
    assert message.token is not None
    client.verify_user(app, message.token, PASSWORD).done()


def test_a_taken_address_answers_alike_and_its_owner_is_told(
    client: Client, inbox: Inbox, app: str, email: str, grant: Grant
) -> None:
    fresh = client.create_user(app, "new-" + email, OTHER).send()
    taken = client.create_user(app, email.upper().replace("EXAMPLE", "Example"), OTHER).send()
    assert (fresh.status, fresh.body) == (taken.status, taken.body)
    notice = wait_for_messages(inbox, email, IN_USE)[0]
    assert (notice.to, notice.token, notice.url) == (email, None, None)
    client.sign_in(app, email, OTHER).refused(401, "invalid_credentials")
    client.read_me(app, grant["accessToken"]).done()


def test_the_fifth_wrong_password_voids_a_verification_token(
    client: Client, inbox: Inbox, app: str, email: str
) -> None:
    client.create_user(app, email, PASSWORD).done()
    token = wait_for_token(inbox, email, VERIFICATION)
    for _ in range(5):
        client.verify_user(app, token, OTHER).refused(401, "invalid_credentials")
    client.verify_user(app, token, PASSWORD).refused(400, "invalid_token")
    client.create_user(app, email, PASSWORD).done()
    again = wait_for_token(inbox, email, VERIFICATION, 2)
    client.verify_user(app, again, PASSWORD).done()


def test_a_verification_that_is_sent_again_voids_the_one_before(
    client: Client, inbox: Inbox, app: str, email: str
) -> None:
    client.create_user(app, email, PASSWORD).done()
    first = wait_for_token(inbox, email, VERIFICATION)
    client.send_verification(app, email).done()
    second = wait_for_token(inbox, email, VERIFICATION, 2)
    client.verify_user(app, first, PASSWORD).refused(400, "invalid_token")
    client.verify_user(app, second, PASSWORD).done()
    client.verify_user(app, second, PASSWORD).refused(400, "invalid_token")


def test_the_first_invitation_to_be_completed_voids_the_others(
    client: Client, inbox: Inbox, app: str, email: str
) -> None:
    client.create_user(app, email, PASSWORD).done()
    hers = wait_for_token(inbox, email, VERIFICATION)
    client.create_user(app, email, OTHER).done()
    theirs = wait_for_token(inbox, email, VERIFICATION, 2)
    client.verify_user(app, theirs, PASSWORD).refused(401, "invalid_credentials")
    client.verify_user(app, hers, PASSWORD).done()
    client.verify_user(app, theirs, OTHER).refused(400, "invalid_token")
    client.sign_in(app, email, OTHER).refused(401, "invalid_credentials")


def test_a_used_refresh_token_within_the_grace_gets_the_same_successor(
    client: Client, app: str, grant: Grant
) -> None:
    second = client.refresh(app, grant["refreshToken"]).done()
    lost = client.refresh(app, grant["refreshToken"]).done()
    assert lost["refreshToken"] == second["refreshToken"]
    third = client.refresh(app, second["refreshToken"]).done()
    # Two turns old: it was stolen from somebody, and the session ends.
    client.refresh(app, grant["refreshToken"]).refused(401, "invalid_refresh_token")
    client.refresh(app, third["refreshToken"]).refused(401, "invalid_refresh_token")


def test_only_the_last_reset_link_works_and_every_session_ends(
    client: Client, inbox: Inbox, app: str, email: str, grant: Grant
) -> None:
    client.request_reset(app, "nobody-" + email).done()
    client.request_reset(app, email).done()
    first = wait_for_token(inbox, email, RESET)
    client.request_reset(app, email).done()
    second = wait_for_token(inbox, email, RESET, 2)
    client.update_password(app, first, OTHER).refused(400, "invalid_token")
    client.update_password(app, second, "iloveyou").refused(422, "password_too_common")
    client.update_password(app, second, OTHER).done()
    client.update_password(app, second, OTHER).refused(400, "invalid_token")
    client.read_me(app, grant["accessToken"]).refused(401, "invalid_token")
    client.refresh(app, grant["refreshToken"]).refused(401, "invalid_refresh_token")
    client.sign_in(app, email, OTHER).done()
    assert inbox.messages("nobody-" + email) == []


def test_changing_the_password_ends_every_other_session(
    client: Client, inbox: Inbox, app: str, email: str, grant: Grant
) -> None:
    other = client.sign_in(app, email, PASSWORD).done()
    call = client.change_password(app, grant["accessToken"], OTHER, "a third, fresher horse")
    call.refused(401, "invalid_credentials")
    client.change_password(app, grant["accessToken"], PASSWORD, OTHER).done()
    wait_for_messages(inbox, email, CHANGED)
    client.read_me(app, grant["accessToken"]).done()
    client.refresh(app, grant["refreshToken"]).done()
    client.read_me(app, other["accessToken"]).refused(401, "invalid_token")
    client.refresh(app, other["refreshToken"]).refused(401, "invalid_refresh_token")


def test_sessions_are_listed_and_ended_one_by_one_or_all(
    client: Client, app: str, email: str, grant: Grant
) -> None:
    second, third = (client.sign_in(app, email, PASSWORD).done() for _ in range(2))
    token = grant["accessToken"]
    sessions = list(every_page(partial(client.list_sessions, app, token), limit=1))
    assert [session["current"] for session in sessions] == [False, False, True]
    client.delete_session(app, token, sessions[0]["id"]).done()
    client.delete_session(app, token, sessions[0]["id"]).refused(404, "session_not_found")
    client.read_me(app, third["accessToken"]).refused(401, "invalid_token")
    client.read_me(app, second["accessToken"]).done()
    client.delete_sessions(app, token).done()
    client.read_me(app, token).refused(401, "invalid_token")
    client.refresh(app, second["refreshToken"]).refused(401, "invalid_refresh_token")


def test_an_administrator_reads_changes_suspends_and_deletes_users(
    client: Client, app: str, email: str, grant: Grant
) -> None:
    user = client.read_me(app, grant["accessToken"]).done()["id"]
    assert [one["id"] for one in client.list_users(app, email=email).done()["items"]] == [user]
    client.update_me(app, grant["accessToken"], {"theme": "light"}).done()
    changed = client.update_user(app, user, appMetadata={"plan": "choir"}).done()
    assert (changed["metadata"], changed["appMetadata"]) == ({"theme": "light"}, {"plan": "choir"})

    assert client.update_user(app, user, state="suspended").done()["state"] == "suspended"
    client.read_me(app, grant["accessToken"]).refused(401, "invalid_token")
    client.refresh(app, grant["refreshToken"]).refused(401, "invalid_refresh_token")
    client.sign_in(app, email, OTHER).refused(401, "invalid_credentials")
    client.sign_in(app, email, PASSWORD).refused(403, "user_suspended")
    client.update_user(app, user, state="active").done()
    client.refresh(app, grant["refreshToken"]).refused(401, "invalid_refresh_token")
    client.sign_in(app, email, PASSWORD).done()

    client.delete_application(app).refused(409, "application_has_users")
    client.delete_user(app, user).done()
    client.delete_user(app, user).refused(404, "user_not_found")
    assert client.list_users(app).done()["items"] == []
    assert client.read_application(app).done()["userCount"] == 0


def test_an_address_is_free_again_after_its_user_is_deleted(
    client: Client, inbox: Inbox, app: str, email: str, grant: Grant
) -> None:
    client.request_reset(app, email).done()
    reset = wait_for_token(inbox, email, RESET)
    client.delete_me(app, grant["accessToken"]).done()
    client.create_user(app, email, OTHER).done()
    token = wait_for_token(inbox, email, VERIFICATION, 2)
    client.verify_user(app, token, OTHER).done()
    client.update_password(app, reset, PASSWORD).refused(400, "invalid_token")
    client.sign_in(app, email, OTHER).done()


def test_a_suspended_application_serves_its_administrators_alone(
    client: Client, app: str, email: str, grant: Grant
) -> None:
    client.update_application(app, applicationState="suspended").done()
    for call in (
        client.create_user(app, email, PASSWORD),
        client.sign_in(app, email, PASSWORD),
        client.refresh(app, grant["refreshToken"]),
        client.request_reset(app, email),
        client.read_me(app, grant["accessToken"]),
        client.read_jwks(app),
    ):
        call.refused(403, "application_suspended", within=client.settles)
    assert client.read_application(app).done()["userCount"] == 1
    client.update_application(app, applicationState=None, signUp="closed").done()
    time.sleep(client.settles)
    client.read_me(app, grant["accessToken"]).done()
    client.create_user(app, "new-" + email, PASSWORD).refused(403, "sign_up_closed")


def test_signing_keys_rotate_and_are_revoked(client: Client, app: str, grant: Grant) -> None:
    before = {key["state"]: key for key in client.list_keys(app).done()["items"]}
    assert before.keys() == {"current", "next"}
    client.revoke_key(app, before["current"]["kid"]).refused(409, "key_in_use")
    assert client.rotate_keys(app).done()["kid"] == before["next"]["kid"]
    time.sleep(client.settles)
    after = {key["state"]: key for key in client.list_keys(app).done()["items"]}
    assert after["retired"]["kid"] == before["current"]["kid"]
    published = {key["kid"] for key in client.read_jwks(app).done()["keys"]}
    assert published == {key["kid"] for key in after.values()}

    client.read_me(app, grant["accessToken"]).done()
    client.revoke_key(app, before["current"]["kid"]).done()
    client.read_me(app, grant["accessToken"]).refused(401, "invalid_token", within=client.settles)
    newer = client.refresh(app, grant["refreshToken"]).done()
    client.read_me(app, newer["accessToken"]).done()


def test_api_keys_administer_one_application_or_all(client: Client, app: str) -> None:
    other = client.create_application(name="Other").done()
    narrow = client.create_api_key("narrow", applicationId=app).done()
    wide = client.create_api_key("wide").done()
    try:
        holder = client.with_key(narrow["key"])
        assert holder.read_application(app).done()["id"] == app
        holder.read_application(other["id"]).refused(404, "application_not_found")
        holder.create_application().refused(403, "forbidden")
        client.with_key(wide["key"]).read_application(other["id"]).done()
        shown = {key["id"]: key for key in every_page(client.list_api_keys)}
        assert narrow["key"].startswith(shown[narrow["id"]]["prefix"])
        assert "key" not in shown[narrow["id"]]
        client.delete_api_key(narrow["id"]).done()
        holder.list_users(app).refused(401, "invalid_api_key")
    finally:
        client.delete_api_key(wide["id"]).done()
        client.delete_application(other["id"]).done()
    client.with_key("psk_nonsense").list_users(app).refused(401, "invalid_api_key")


def test_nothing_of_one_application_works_at_another(
    client: Client, inbox: Inbox, app: str, email: str, grant: Grant
) -> None:
    other = client.create_application(name="Other").done()["id"]
    try:
        client.read_me(other, grant["accessToken"]).refused(401, "invalid_token")
        client.refresh(other, grant["refreshToken"]).refused(401, "invalid_refresh_token")
        client.revoke_token(other, grant["refreshToken"]).done()
        client.sign_in(other, email, PASSWORD).refused(401, "invalid_credentials")
        client.request_reset(app, email).done()
        reset = wait_for_token(inbox, email, RESET)
        client.update_password(other, reset, OTHER).refused(400, "invalid_token")
        client.update_password(app, reset, OTHER).done()
        assert client.read_application(other).done()["userCount"] == 0
    finally:
        client.delete_application(other).done()


def test_what_was_deleted_or_never_was_answers_alike(client: Client) -> None:
    gone = client.create_application().done()["id"]
    client.delete_application(gone).done()
    for app in (gone, str(uuid.uuid4()), "nowhere"):
        client.read_application(app).refused(404, "application_not_found")
        client.read_jwks(app).refused(404, "application_not_found")
        client.create_user(app, "ada@example.com", PASSWORD).refused(404, "application_not_found")
        client.sign_in(app, "ada@example.com", PASSWORD).refused(404, "application_not_found")


def test_every_change_leaves_its_record(client: Client, app: str, email: str, grant: Grant) -> None:
    user = client.read_me(app, grant["accessToken"]).done()["id"]
    client.sign_in(app, email, OTHER).refused(401, "invalid_credentials")
    client.update_user(app, user, state="suspended").done()
    told = list(every_page(partial(client.list_audit_events, app), userId=user, limit=2))
    assert [(event["operation"], event["outcome"]) for event in told] == [
        ("userSuspended", "success"),
        ("userSignInFailed", "failure"),
        ("userSignedIn", "success"),
        ("userCreated", "success"),
    ]
    assert [event["actor"]["type"] for event in told] == ["admin", "public", "user", "user"]
    assert {event["email"] for event in told} == {email}
    made = client.list_deployment_audit_events(operation="applicationCreated", limit=100).done()
    assert app in {event["applicationId"] for event in made["items"]}


def test_the_deployment_says_that_it_is_well(client: Client) -> None:
    assert client.read_health().done()["status"] == "ok"


def test_an_administrator_finds_the_application_its_issuer_and_a_user(
    client: Client, app: str, email: str, grant: Grant
) -> None:
    assert app in {one["id"] for one in every_page(client.list_applications)}
    configuration = client.read_configuration(app).done()
    assert configuration["issuer"].endswith(f"/v1/applications/{app}")
    me = client.read_me(app, grant["accessToken"]).done()
    assert client.read_user(app, me["id"]).done()["email"] == email
