"""How a user is shown."""

from pydantic import JsonValue

from app.users.types import User, UserState
from app.web.bodies import View


class UserView(View):
    """A user, as they see themselves."""

    id: str
    email: str
    email_verified: bool
    state: UserState
    metadata: dict[str, JsonValue]
    created: str
    updated: str
    last_sign_in: str | None


class AdminUserView(UserView):
    """A user, as an administrator sees them."""

    app_metadata: dict[str, JsonValue]


def user_view(user: User) -> UserView:
    return UserView.model_validate(_members(user))


def admin_user_view(user: User) -> AdminUserView:
    members = {**_members(user), "app_metadata": user.app_metadata}
    return AdminUserView.model_validate(members)


def _members(user: User) -> dict[str, object]:
    return {
        "id": user.id,
        "email": user.email,
        "email_verified": True,  # a user exists only once the address is verified
        "state": user.state,
        "metadata": user.metadata,
        "created": user.created,
        "updated": user.updated,
        "last_sign_in": user.last_sign_in,
    }
