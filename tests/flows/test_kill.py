"""kill -9 between any two store operations: done or not done, and never a message lost or doubled.

Every call of every operation is a moment to die, before it and after it. What is left is opened
again, delivers its messages, keeps the invariants, and takes the same request once more.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.from_thread import start_blocking_portal

from app.main import create_app
from app.wiring import build
from tests.api.world import InProcess
from tests.flows import invariants
from tests.flows.effort import some
from tests.flows.ledger import Ledger
from tests.flows.mortal import ORIGIN, Order, headers, killing, settings

EMAIL = "ada@example.com"
PASSWORD = "a horse that nobody staples"
OTHER = "another horse, in another field"
LEDGER = Ledger(secrets={PASSWORD, OTHER}, addresses={EMAIL})
MOST_CALLS = 60


@dataclass(frozen=True, kw_only=True)
class World:
    """A deployment that this process has opened."""

    folder: Path
    http: httpx.Client
    deliver: Callable[[], None]

    def ask(
        self,
        method: str,
        path: str,
        members: dict[str, Any] | None = None,
        token: str | None = None,
    ) -> httpx.Response:
        return self.http.request(method, path, headers=headers(token), json=members)

    def messages(self, kind: str) -> list[dict[str, Any]]:
        self.deliver()
        items: list[dict[str, Any]] = self.http.get("/dev/messages").json()["items"]
        return [item for item in items if item["kind"] == kind]

    def token(self, kind: str) -> str:
        token: str = self.messages(kind)[0]["token"]
        return token

    def can_sign_in(self, app: str, password: str) -> bool:
        members = {"email": EMAIL, "password": password}
        return self.ask("POST", f"{app}/users/token", members).status_code == 200

    def users(self, app: str) -> int:
        count: int = self.ask("GET", app).json()["userCount"]
        return count


@contextmanager
def opened(folder: Path) -> Iterator[World]:
    services = build(settings(folder))
    dispatcher = services.housekeeper.dispatcher

    with start_blocking_portal() as portal:
        transport = InProcess(create_app(services), portal)
        with httpx.Client(transport=transport, base_url=ORIGIN) as http:
            yield World(folder=folder, http=http, deliver=dispatcher.run_once)
    services.close()


@dataclass(frozen=True, kw_only=True)
class Scene:
    """An operation about to happen, and how to tell afterwards whether it has.

    Attributes:
        order: the request; its folder, call and side are set for each death.
        again: given the world after the death, checks what is there and repeats the request.
    """

    folder: Path
    order: Order
    again: Callable[[World], None] = field(repr=False)


def create_app_(world: World) -> str:
    answer = world.ask("POST", "/v1/applications", {"signingAlgorithm": "EdDSA"})
    return f"/v1/applications/{answer.json()['id']}"


def invite(world: World, app: str) -> None:
    answer = world.ask("POST", f"{app}/users", {"email": EMAIL, "password": PASSWORD})
    assert answer.status_code == 202


def sign_up(world: World, app: str) -> dict[str, str]:
    invite(world, app)
    members = {"token": world.token("emailVerification"), "password": PASSWORD}
    grant: dict[str, str] = world.ask("POST", f"{app}/users/verification", members).json()
    return grant


def application_creation(world: World) -> Scene:
    def again(after: World) -> None:
        made = after.ask("GET", "/v1/applications").json()["items"]
        assert len(made) <= 1
        for application in made:
            app = f"/v1/applications/{application['id']}"
            assert len(after.http.get(f"{app}/jwks.json").json()["keys"]) == 2
            assert "accessToken" in sign_up(after, app)
        assert after.ask("POST", "/v1/applications", {}).status_code == 201

    order = Order(folder="", call=0, after=False, path="/v1/applications", members={})
    return Scene(folder=world.folder, order=order, again=again)


def signing_up(world: World) -> Scene:
    app = create_app_(world)

    def again(after: World) -> None:
        sent = len(after.messages("emailVerification"))
        assert sent <= 1
        assert "accessToken" in sign_up(after, app)
        assert len(after.messages("emailVerification")) == sent + 1

    members = {"email": EMAIL, "password": PASSWORD}
    order = Order(folder="", call=0, after=False, path=f"{app}/users", members=members)
    return Scene(folder=world.folder, order=order, again=again)


def verification(world: World) -> Scene:
    app = create_app_(world)
    invite(world, app)
    members = {"token": world.token("emailVerification"), "password": PASSWORD}
    path = f"{app}/users/verification"

    def again(after: World) -> None:
        users = after.users(app)
        assert users in {0, 1}
        assert after.can_sign_in(app, PASSWORD) == (users == 1)
        answer = after.ask("POST", path, members)
        assert answer.status_code == (400 if users else 200)
        assert after.users(app) == 1
        assert len(after.messages("emailVerification")) == 1

    order = Order(folder="", call=0, after=False, path=path, members=members)
    return Scene(folder=world.folder, order=order, again=again)


def reset_request(world: World) -> Scene:
    app = create_app_(world)
    sign_up(world, app)
    path = f"{app}/users/password/reset"

    def again(after: World) -> None:
        sent = len(after.messages("passwordReset"))
        assert sent <= 1
        assert after.ask("POST", path, {"email": EMAIL}).status_code == 202
        assert len(after.messages("passwordReset")) == sent + 1
        members = {"token": after.token("passwordReset"), "password": OTHER}
        assert after.ask("PUT", f"{app}/users/password", members).status_code == 204

    order = Order(folder="", call=0, after=False, path=path, members={"email": EMAIL})
    return Scene(folder=world.folder, order=order, again=again)


def reset(world: World) -> Scene:
    app = create_app_(world)
    sign_up(world, app)
    world.ask("POST", f"{app}/users/password/reset", {"email": EMAIL})
    members = {"token": world.token("passwordReset"), "password": OTHER}
    path = f"{app}/users/password"

    def again(after: World) -> None:
        done = after.can_sign_in(app, OTHER)
        assert after.can_sign_in(app, PASSWORD) != done
        assert len(after.messages("passwordChanged")) == int(done)
        assert after.ask("PUT", path, members).status_code == (400 if done else 204)
        assert after.can_sign_in(app, OTHER)
        assert len(after.messages("passwordChanged")) == 1

    order = Order(folder="", call=0, after=False, method="PUT", path=path, members=members)
    return Scene(folder=world.folder, order=order, again=again)


def refresh(world: World) -> Scene:
    app = create_app_(world)
    members = {"refreshToken": sign_up(world, app)["refreshToken"]}
    path = f"{app}/users/token"

    def again(after: World) -> None:
        first = after.ask("POST", path, members)
        assert first.status_code == 200  # not done, or done within the grace
        chain = {"refreshToken": first.json()["refreshToken"]}
        assert after.ask("POST", path, chain).status_code == 200

    order = Order(folder="", call=0, after=False, path=path, members=members)
    return Scene(folder=world.folder, order=order, again=again)


def user_deletion(world: World) -> Scene:
    app = create_app_(world)
    grant = sign_up(world, app)
    for _ in range(3):
        assert world.can_sign_in(app, PASSWORD)
    world.ask("POST", f"{app}/users/password/reset", {"email": EMAIL})
    world.deliver()
    path = f"{app}/users/me"

    def again(after: World) -> None:
        users = after.users(app)
        answer = after.ask("DELETE", path, token=grant["accessToken"])
        assert answer.status_code == (204 if users else 401)
        assert after.users(app) == 0
        assert not after.can_sign_in(app, PASSWORD)

    order = Order(
        folder="", call=0, after=False, method="DELETE", path=path, token=grant["accessToken"]
    )
    return Scene(folder=world.folder, order=order, again=again)


def delivery(world: World) -> Scene:
    app = create_app_(world)
    invite(world, app)

    def again(after: World) -> None:
        assert len(after.messages("emailVerification")) == 1
        assert "accessToken" in sign_up(after, app)

    return Scene(folder=world.folder, order=Order(folder="", call=0, after=False), again=again)


@pytest.fixture(scope="module")
def killer() -> Iterator[Callable[[Order], dict[str, bool]]]:
    with killing() as obeyed:
        yield obeyed


SCENES = [
    application_creation,
    signing_up,
    verification,
    reset_request,
    reset,
    refresh,
    user_deletion,
    delivery,
]


# After one call is before the next: the second half is for those who doubt it.
@pytest.mark.parametrize(
    "after", some([False, True], every=2), ids=lambda after: "after" if after else "before"
)
@pytest.mark.parametrize("prepare", SCENES, ids=lambda scene: scene.__name__)
def test_whenever_the_service_is_killed_the_operation_is_done_or_not(
    tmp_path: Path,
    killer: Callable[[Order], dict[str, bool]],
    prepare: Callable[[World], Scene],
    after: bool,
) -> None:
    with opened(tmp_path / "before") as world:
        scene = prepare(world)
    deaths = 0
    for call in range(1, MOST_CALLS):
        folder = tmp_path / f"call-{call}"
        shutil.copytree(scene.folder, folder)
        ended = killer(replace(scene.order, folder=str(folder), call=call, after=after))
        assert ended["fine"]
        with opened(folder) as world:
            scene.again(world)
            world.deliver()
        invariants.check(folder, LEDGER, logs=[])
        if not ended["killed"]:
            break
        deaths += 1
    else:
        pytest.fail(f"the operation takes more than {MOST_CALLS} calls")
    assert deaths >= 1, "nothing was killed"
