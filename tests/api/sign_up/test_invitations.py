"""The life of an invitation: good once, for a day, for whoever knows its password."""

import pytest

from app.events.types import Operation
from app.messages.types import MessageKind
from tests.api.world import (
    DAY,
    EMAIL,
    NEW_PASSWORD,
    PASSWORD,
    Tenant,
    World,
    alike,
    body,
    refused,
)


def _send_again(tenant: Tenant, email: str = EMAIL) -> None:
    answer = tenant.public("POST", "/users/verification/send", {"email": email})
    assert answer.status_code == 202
    assert answer.json() == {}


def _newest_token(world: World) -> str:
    token = world.last_message(EMAIL, MessageKind.EMAIL_VERIFICATION).token
    assert token is not None
    return token


def test_a_token_is_good_once(tenant: Tenant) -> None:
    token = tenant.invitation()
    assert tenant.verify(token).status_code == 200
    refused(tenant.verify(token), 400, "invalid_token")
    assert tenant.read()["userCount"] == 1


def test_a_token_is_good_for_a_day(world: World) -> None:
    tenant = world.tenant()
    early, late = tenant.invitation("ada@example.com"), tenant.invitation("bob@example.com")
    world.advance(DAY - 1)
    assert tenant.verify(early).status_code == 200
    world.advance(1)
    refused(tenant.verify(late), 400, "invalid_token")
    assert tenant.read()["userCount"] == 1


def test_an_expired_token_is_refused_though_its_row_is_still_there(world: World) -> None:
    tenant = world.tenant()
    token = tenant.invitation()
    world.advance(DAY + 1)
    assert [row for row in world.rows(tenant.id) if row[1] == "invitation"]
    refused(tenant.verify(token), 400, "invalid_token")
    assert tenant.sign_up().status_code == 202
    assert tenant.verify(_newest_token(world)).status_code == 200


def test_unknown_used_void_and_expired_tokens_look_alike(world: World) -> None:
    tenant = world.tenant()
    expired = tenant.invitation("old@example.com")
    world.advance(DAY)
    void, used = tenant.invitation(), tenant.invitation()
    assert tenant.verify(used).status_code == 200
    answers = [tenant.verify(token) for token in ("x", used, void, expired, "A" * 43)]
    for answer in answers:
        refused(answer, 400, "invalid_token")
        assert alike(answer, answers[0])


def test_the_password_of_the_sign_up_is_needed(tenant: Tenant) -> None:
    token = tenant.invitation()
    answer = tenant.verify(token, NEW_PASSWORD)
    refused(answer, 401, "invalid_credentials")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="passerine"'
    assert tenant.read()["userCount"] == 0
    assert tenant.verify(token).status_code == 200


def test_four_wrong_passwords_leave_a_token_good(tenant: Tenant) -> None:
    token = tenant.invitation()
    for _ in range(4):
        refused(tenant.verify(token, NEW_PASSWORD), 401, "invalid_credentials")
    assert tenant.verify(token).status_code == 200


def test_the_fifth_wrong_password_voids_a_token(tenant: Tenant) -> None:
    token = tenant.invitation()
    for _ in range(5):
        refused(tenant.verify(token, NEW_PASSWORD), 401, "invalid_credentials")
    refused(tenant.verify(token), 400, "invalid_token")
    refused(tenant.verify(token, NEW_PASSWORD), 400, "invalid_token")
    assert tenant.read()["userCount"] == 0


def test_sending_again_gives_no_more_tries(tenant: Tenant) -> None:
    token = tenant.invitation()
    for _ in range(4):
        tenant.verify(token, NEW_PASSWORD)
    _send_again(tenant)
    token = _newest_token(tenant.world)
    refused(tenant.verify(token, NEW_PASSWORD), 401, "invalid_credentials")
    refused(tenant.verify(token), 400, "invalid_token")


def test_two_invitations_stand_side_by_side_until_one_is_completed(tenant: Tenant) -> None:
    theirs = tenant.invitation(password=NEW_PASSWORD)
    mine = tenant.invitation(password=PASSWORD)
    refused(tenant.verify(theirs, PASSWORD), 401, "invalid_credentials")
    refused(tenant.verify(mine, NEW_PASSWORD), 401, "invalid_credentials")
    assert tenant.verify(theirs, NEW_PASSWORD).status_code == 200
    refused(tenant.verify(mine, PASSWORD), 400, "invalid_token")
    assert tenant.read()["userCount"] == 1
    refused(tenant.sign_in(password=PASSWORD), 401, "invalid_credentials")


@pytest.mark.parametrize("first", [0, 1])
def test_a_voided_invitation_stays_void_when_the_account_is_deleted(
    tenant: Tenant, first: int
) -> None:
    invitations = [tenant.invitation(), tenant.invitation()]
    grant = body(tenant.verify(invitations[first]))
    assert tenant.me(grant["accessToken"], "DELETE").status_code == 204
    tenant.world.advance(DAY - 1)
    refused(tenant.verify(invitations[1 - first]), 400, "invalid_token")
    _send_again(tenant)
    kinds = [message.kind for message in tenant.world.messages(EMAIL)]
    assert kinds == [MessageKind.EMAIL_VERIFICATION] * 2
    assert tenant.read()["userCount"] == 0


def test_who_deleted_the_account_may_sign_up_again(world: World) -> None:
    tenant = world.tenant()
    for hours in (0, 1, 47, 49):
        person = tenant.user(password=f"a password for hour {hours}")
        world.advance(hours * 3600)
        assert tenant.sign_in(password=person.password).status_code == 200
        assert person.admin("DELETE").status_code == 204
    assert tenant.read()["userCount"] == 0


def test_an_invitation_outlives_the_note_that_voided_earlier_ones(world: World) -> None:
    tenant = world.tenant()
    assert tenant.user().call("DELETE").status_code == 204
    world.advance(2 * DAY - 60)
    token = tenant.invitation()
    world.advance(3600)
    assert tenant.verify(token).status_code == 200


def test_sending_again_voids_the_token_before(tenant: Tenant) -> None:
    first = tenant.invitation()
    tenant.world.advance(3600)
    _send_again(tenant)
    second = _newest_token(tenant.world)
    assert second != first
    refused(tenant.verify(first), 400, "invalid_token")
    assert tenant.verify(second).status_code == 200
    told = tenant.world.events(Operation.EMAIL_VERIFICATION_REQUESTED)
    assert len(told) == 1


def test_a_token_that_was_sent_again_is_good_for_another_day(world: World) -> None:
    tenant = world.tenant()
    tenant.invitation(metadata={"theme": "dark"})
    world.advance(DAY - 1)
    _send_again(tenant)
    world.advance(DAY - 1)
    grant = body(tenant.verify(_newest_token(world)))
    assert body(tenant.me(grant["accessToken"]))["metadata"] == {"theme": "dark"}


def test_sending_again_tells_nothing_and_writes_to_nobody_else(tenant: Tenant) -> None:
    tenant.user("ada@example.com")
    tenant.invitation("bob@example.com")
    tenant.invitation("old@example.com")
    tenant.world.advance(DAY)
    tenant.invitation("bob@example.com")
    written = len(tenant.world.messages())
    answers = [
        tenant.public("POST", "/users/verification/send", {"email": email})
        for email in ("ada@example.com", "bob@example.com", "old@example.com", "no@example.com")
    ]
    assert all(alike(answer, answers[0]) for answer in answers)
    newest = tenant.world.messages()[: len(tenant.world.messages()) - written]
    assert [message.to for message in newest] == ["bob@example.com"]


def test_an_invitation_of_another_application_is_unknown(world: World) -> None:
    one, other = world.tenant(), world.tenant()
    token = one.invitation()
    other.invitation()
    refused(other.verify(token), 400, "invalid_token")
    assert one.verify(token).status_code == 200


def test_a_reset_token_verifies_nobody(tenant: Tenant) -> None:
    tenant.user()
    refused(tenant.verify(tenant.reset_token()), 400, "invalid_token")


def test_a_verification_token_sets_no_password(tenant: Tenant) -> None:
    token = tenant.invitation()
    refused(tenant.reset(token), 400, "invalid_token")
    assert tenant.verify(token).status_code == 200


@pytest.mark.parametrize("token", ["", "x" * 8193, 1, None, True, ["x"], {"a": 1}])
def test_what_is_no_token_is_refused_by_its_name(shared: World, token: object) -> None:
    tenant = shared.tenant()
    answer = tenant.public("POST", "/users/verification", {"token": token, "password": PASSWORD})
    refused(answer, 422, "validation_failed", field="token")


@pytest.mark.parametrize(
    "token", ["x", "x" * 8192, "\u0000", "ü", "../x", "#", "app#x", " ", "%00", "\ud83d\ude00"]
)
def test_a_token_of_any_text_is_just_unknown(shared: World, token: str) -> None:
    tenant = shared.tenant()
    refused(tenant.verify(token), 400, "invalid_token")
    refused(tenant.reset(token), 400, "invalid_token")
