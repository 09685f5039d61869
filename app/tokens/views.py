"""How a grant is shown, and who a signed-in user is to a route."""

from typing import Annotated, Literal

from pydantic import Field

from app.tokens.types import Grant, UserPrincipal
from app.web.access import ByUser
from app.web.bodies import View

SignedIn = Annotated[UserPrincipal, ByUser]


class GrantView(View):
    """Tokens of a session."""

    access_token: str = Field(description="A JWT (RFC 9068) for `Authorization: Bearer`.")
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int = Field(description="Seconds until the access token expires.")
    refresh_token: str = Field(description="Good once, for the next pair.")


def grant_view(grant: Grant) -> GrantView:
    return GrantView(
        access_token=grant.access_token,
        expires_in=grant.expires_in,
        refresh_token=grant.refresh_token,
    )
