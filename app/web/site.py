"""What the deployment knows of itself."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, eq=False)
class Site:
    """What the deployment knows of itself.

    Attributes:
        check: asks the store for something, or raises `StoreUnavailable`.
        admin_key_place: where its owner finds the first API key.
    """

    version: str
    store: str
    check: Callable[[], object]
    admin_key_place: str
