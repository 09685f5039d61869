"""What the deployment says of itself: health, documentation, static files, the start page."""

from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from fastapi import HTTPException, Request, Response
from fastapi.responses import FileResponse, HTMLResponse

from app.common.errors import StoreUnavailable
from app.web.access import Anyone
from app.web.bodies import View
from app.web.context import Context
from app.web.inject import provided
from app.web.openapi import refusals
from app.web.pages import html_response
from app.web.routes import router
from app.web.site import Site

STATIC = Path(__file__).parent / "static"
STATIC_FILES = {
    "passerine.css": "text/css; charset=utf-8",
    "passerine.svg": "image/svg+xml",
    "docs.js": "text/javascript; charset=utf-8",
}
SWAGGER_FILES = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
}
ASSET_CACHE = "public, max-age=3600"
# Swagger UI styles its elements from its own script, and draws its icons from data URLs.
DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


Knows = Annotated[Site, provided(Site)]

public = router("Deployment")
local = router("Deployment")


class HealthView(View):
    """That the service can do its work."""

    status: Literal["ok"]
    version: str
    store: str


@public.get(
    "/health",
    operation_id="readHealth",
    summary="Health",
    responses=refusals(StoreUnavailable),
)
def read_health(_: Anyone, site: Knows) -> HealthView:
    """Whether the store answers."""
    site.check()
    return HealthView(status="ok", version=site.version, store=site.store)


@public.get("/docs", response_class=HTMLResponse, include_in_schema=False)
async def read_docs(_: Anyone) -> Response:
    """Swagger UI."""
    page = html_response("docs.html")
    page.headers["Content-Security-Policy"] = DOCS_POLICY
    return page


@public.get("/docs/{name}", include_in_schema=False)
def read_docs_asset(_: Anyone, name: str) -> Response:
    """Swagger UI's own files, which a package brings."""
    return _file(_swagger(), SWAGGER_FILES, name)


@public.get("/static/{name}", include_in_schema=False)
def read_static(_: Anyone, name: str) -> Response:
    """Style, script and picture of our pages."""
    return _file(STATIC, STATIC_FILES, name)


@public.get("/openapi.json", include_in_schema=False)
def read_openapi(_: Anyone, request: Request) -> dict[str, object]:
    """The OpenAPI 3.1 document, made at the first request for it."""
    found: dict[str, object] = request.app.openapi()
    return found


@local.get("/", response_class=HTMLResponse, include_in_schema=False)
def read_start(_: Anyone, site: Knows, context: Context) -> Response:
    """What runs here and where to go."""
    return html_response(
        "start.html",
        version=site.version,
        store=site.store,
        admin_key_path=site.admin_key_place,
        origin=context.origin,
    )


def _file(folder: Path, types: dict[str, str], name: str) -> Response:
    if name not in types:
        raise HTTPException(404)
    return FileResponse(
        folder / name, media_type=types[name], headers={"Cache-Control": ASSET_CACHE}
    )


@cache
def _swagger() -> Path:
    return Path(str(resources.files("fastapi_swagger"))) / "resources"
