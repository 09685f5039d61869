"""Pages for people: plain HTML and CSS, no script, nothing from elsewhere."""

import shlex
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from starlette.responses import HTMLResponse

TEMPLATES = Path(__file__).parent / "templates"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def html_response(name: str, /, *, status: int = 200, **context: Any) -> HTMLResponse:
    """A page as a response that no browser keeps, frames or runs anything in."""
    return HTMLResponse(render(name, **context), status, headers=HEADERS)


def render(name: str, /, **context: Any) -> str:
    """A template with its values escaped; a value that it needs and does not get is a fault."""
    return _template(name)(**context)


@cache
def _template(name: str) -> Callable[..., str]:
    found: Callable[..., str] = _environment().get_template(name).render
    return found


@cache
def _environment() -> Any:
    # Jinja2 costs about 120 ms to import, and most processes and requests show no page.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shell"] = shlex.quote  # a value in a command that somebody may paste
    return environment
