"""The page behind a verification link: it asks for the password and uses nothing up by itself."""

from functools import partial
from typing import Annotated

from fastapi import Query, Response
from fastapi.responses import HTMLResponse

from app.applications.types import Application
from app.passwords.types import MAX_TYPED, InvalidCredentials
from app.signup.logic import SignUps
from app.signup.types import InvalidVerificationToken
from app.web.access import Asking, ByApplication
from app.web.bodies import LONGEST_TOKEN
from app.web.forms import Form
from app.web.inject import provided
from app.web.lane import Lane
from app.web.pages import html_response
from app.web.routes import router

PATH = "/v1/applications/{application_id}/users/verification"
OpenApplication = Annotated[Application, ByApplication]
LinkToken = Annotated[str, Query(max_length=LONGEST_TOKEN)]

pages = router("Pages")


@pages.get(PATH, response_class=HTMLResponse, include_in_schema=False)
def verification_page(application: OpenApplication, token: LinkToken = "") -> Response:
    """The form; a mail scanner that opens the link gets it too, and no further."""
    return _form(application, token) if token else _refused()


@pages.post(PATH + "/form", response_class=HTMLResponse, include_in_schema=False)
async def verify_by_form(
    application: OpenApplication,
    by: Asking,
    form: Form,
    uses: Annotated[SignUps, provided(SignUps)],
    hashing: Annotated[Lane, provided(Lane)],
) -> Response:
    """What the form posts. It signs nobody in: the page has no place for tokens."""
    token, password = form.get("token", ""), form.get("password", "")
    if len(token) > LONGEST_TOKEN or not 1 <= len(password) <= MAX_TYPED:
        return _form(application, token[:LONGEST_TOKEN], InvalidCredentials.detail)
    call = partial(uses.verify, application, token=token, password=password, by=by)
    try:
        await hashing.run(call)
    except InvalidCredentials:
        return _form(application, token, "This is not the password that you chose at sign-up.")
    except InvalidVerificationToken:
        return _refused()
    heading, text = "Your address is verified", "You can close this page and sign in now."
    return html_response("done.html", heading=heading, text=text)


def _form(application: Application, token: str, problem: str | None = None) -> Response:
    return html_response(
        "verification.html",
        status=422 if problem else 200,
        application_name=application.settings.name,
        action=f"{application.path}/users/verification/form",
        token=token,
        problem=problem,
    )


def _refused() -> Response:
    heading, text = "This link is not valid any more", "Sign up again to get a new one."
    return html_response("refused.html", status=400, heading=heading, text=text)
