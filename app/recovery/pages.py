"""The page behind a reset link: it asks for the new password and uses nothing up by itself."""

from functools import partial
from typing import Annotated

from fastapi import Query, Response
from fastapi.responses import HTMLResponse

from app.applications.types import Application
from app.common.errors import Kind, Refusal
from app.passwords.types import MAX_TYPED, PasswordTooLong, PasswordTooShort
from app.recovery.logic import Recoveries
from app.recovery.types import InvalidResetToken
from app.web.access import Asking, ByApplication
from app.web.bodies import LONGEST_TOKEN
from app.web.forms import Form
from app.web.inject import provided
from app.web.lane import Lane
from app.web.pages import html_response
from app.web.routes import router

PATH = "/v1/applications/{application_id}/users/password/reset"
OpenApplication = Annotated[Application, ByApplication]
LinkToken = Annotated[str, Query(max_length=LONGEST_TOKEN)]

pages = router("Pages")


@pages.get(PATH, response_class=HTMLResponse, include_in_schema=False)
def password_reset_page(application: OpenApplication, token: LinkToken = "") -> Response:
    """The form."""
    return _form(application, token) if token else _refused()


@pages.post(PATH + "/form", response_class=HTMLResponse, include_in_schema=False)
async def reset_by_form(
    application: OpenApplication,
    by: Asking,
    form: Form,
    uses: Annotated[Recoveries, provided(Recoveries)],
    hashing: Annotated[Lane, provided(Lane)],
) -> Response:
    """What the form posts."""
    token, password = form.get("token", ""), form.get("password", "")
    if len(token) > LONGEST_TOKEN:
        return _refused()
    if len(password) > MAX_TYPED:
        return _form(application, token, PasswordTooLong.detail)
    try:
        await hashing.run(
            partial(uses.complete, application, token=token, password=password, by=by)
        )
    except InvalidResetToken:
        return _refused()
    except Refusal as refusal:
        if refusal.kind is not Kind.INVALID:
            raise
        return _form(application, token, _why(application, refusal))
    heading = "Your password is changed"
    text = "You are signed out everywhere. Sign in with the new password."
    return html_response("done.html", heading=heading, text=text)


def _why(application: Application, refusal: Refusal) -> str:
    if isinstance(refusal, PasswordTooShort):
        return f"Choose at least {application.settings.password_min_length} characters."
    return refusal.detail


def _form(application: Application, token: str, problem: str | None = None) -> Response:
    return html_response(
        "password_reset.html",
        status=422 if problem else 200,
        application_name=application.settings.name,
        action=f"{application.path}/users/password/reset/form",
        token=token,
        problem=problem,
        min_length=application.settings.password_min_length,
    )


def _refused() -> Response:
    heading, text = (
        "This link is not valid any more",
        "Ask for a new one and use it within 30 minutes.",
    )
    return html_response("refused.html", status=400, heading=heading, text=text)
