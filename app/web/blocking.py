"""Where work that waits for a store is done: in a thread, or on the spot.

FastAPI gives each function that blocks to a thread: each dependency, the endpoint, and the writing
of its answer, 0.2 ms for each, and on Lambda, where each request is a loop's whole life to anyio,
a new thread too. On Lambda nobody else waits for the loop; and a read of SQLite takes less time
than a thread needs to hear of it.
"""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import partial, wraps
from inspect import iscoroutinefunction
from typing import Any, ParamSpec, TypeVar

import anyio.to_thread

P = ParamSpec("P")
T = TypeVar("T")

# Whether this request's work is done on the spot; the frame around the app says so.
ON_THE_SPOT: ContextVar[bool] = ContextVar("on_the_spot", default=False)


async def blocking(call: Callable[[], T]) -> T:
    """The result of a call that may block."""
    if ON_THE_SPOT.get():
        return call()
    return await anyio.to_thread.run_sync(call)


def unblocked(function: Callable[P, Any]) -> Callable[P, Awaitable[Any]]:
    """A function as a coroutine of the same signature."""
    if iscoroutinefunction(function):
        return function

    @wraps(function)
    async def run(*args: P.args, **values: P.kwargs) -> Any:
        return await blocking(partial(function, *args, **values))

    return run
