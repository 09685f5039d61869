"""Use cases are handed to endpoints by their type; the wiring made each once."""

from typing import Any, TypeVar

from fastapi import Depends, Request

T = TypeVar("T")


def provided(kind: type[T]) -> Any:
    """A dependency on the one instance of a class."""

    async def provide(request: Request) -> T:
        instance = request.app.state.provided[kind]
        assert isinstance(instance, kind)
        return instance

    return Depends(provide)
