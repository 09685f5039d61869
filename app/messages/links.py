"""Links that a message carries."""

from app.common.secrets import Secret


def link(page: str, token: Secret) -> str:
    """The address of a page with `token` added to its query."""
    separator = "&" if "?" in page else "?"
    return f"{page}{separator}token={token}"
