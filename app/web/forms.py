"""Forms that our own pages post: a few named fields, URL-encoded."""

from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from app.web.problems import UnsupportedMediaType

FORM_TYPE = "application/x-www-form-urlencoded"
MAX_FIELDS = 10


async def _form(request: Request) -> dict[str, str]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM_TYPE:
        raise UnsupportedMediaType
    try:
        text = (await request.body()).decode("ascii")
        fields = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise UnsupportedMediaType from None
    return dict(fields)


# The fields of the posted form; the last one of a name counts.
Form = Annotated[dict[str, str], Depends(_form)]
