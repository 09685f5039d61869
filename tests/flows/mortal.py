"""A service that is killed at a chosen moment: `python -m tests.flows.mortal` takes orders.

Each line of its standard input is an `Order`. A child is forked for it, builds the service on the
order's folder and does one thing with it: answers one request, or delivers what lies in the outbox.
At the chosen call of the store or the mailer (on DynamoDB: of AWS) the child kills itself with
SIGKILL, before the call or after it. The answer, a line, says whether it came to that.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx
from anyio.from_thread import start_blocking_portal
from botocore.client import BaseClient

from app.adapters.aws_json import JsonClient
from app.adapters.mailbox import Mailbox
from app.adapters.sqlite_table import SqliteTable
from app.main import create_app
from app.settings import Settings
from app.wiring import Services, build
from tests.api.world import InProcess

ADMIN_KEY = "psk_an-admin-key-for-tests-alone"
ORIGIN = "http://localhost:8000"


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to do, and when to die.

    Attributes:
        path: where to send the request; empty to deliver instead.
        call: the number of the call, from 1, at which to die.
        after: die after it rather than before it.
        settings: of the service, beside its folder and its key.
    """

    folder: str
    call: int
    after: bool
    method: str = "POST"
    path: str = ""
    members: dict[str, Any] | None = None
    token: str | None = None
    settings: dict[str, str] = field(default_factory=lambda: {"rate_limits": "off"})


def headers(token: str | None) -> dict[str, str]:
    """A user's headers, or the administrator's."""
    return {"X-Api-Key": ADMIN_KEY} if token is None else {"Authorization": f"Bearer {token}"}


def settings(folder: Path, **more: Any) -> Settings:
    given: dict[str, Any] = more or {"rate_limits": "off"}
    return Settings(data_dir=folder, admin_api_key=ADMIN_KEY, **given)


def obey(order: Order) -> None:
    """Do what is ordered; returns only if death did not come."""
    services = build(settings(Path(order.folder), **order.settings))
    with start_blocking_portal() as portal:
        transport = InProcess(create_app(services), portal)
        with httpx.Client(transport=transport, base_url=ORIGIN) as client:
            arm(order)
            _act(order, services, client)


def _act(order: Order, services: Services, client: httpx.Client) -> None:
    if not order.path:
        services.housekeeper.dispatcher.run_once()
        return
    answer = client.request(
        order.method, order.path, headers=headers(order.token), json=order.members
    )
    assert answer.status_code < 300, answer.text


def arm(order: Order) -> None:
    """Let every call of store and mailer count from now on."""
    calls = [0]

    def mortal(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **named: Any) -> Any:
            calls[0] += 1
            number = calls[0]
            if number == order.call and not order.after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = call(*args, **named)
            if number == order.call:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return counted

    if order.settings.get("store") == "dynamodb":
        owners: Any = ((JsonClient, ("call",)), (BaseClient, ("_make_api_call",)))
    else:
        owners = ((SqliteTable, ("get_many", "query", "commit")), (Mailbox, ("send",)))
    for owner, names in owners:
        for name in names:
            setattr(owner, name, mortal(getattr(owner, name)))


def main() -> None:
    for line in sys.stdin:
        order = Order(**json.loads(line))
        child = os.fork()
        if child == 0:
            status = 1
            try:
                obey(order)
                status = 0
            finally:
                os._exit(status)
        _, ended = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(ended) and os.WTERMSIG(ended) == signal.SIGKILL
        fine = killed or os.waitstatus_to_exitcode(ended) == 0
        sys.stdout.write(json.dumps({"killed": killed, "fine": fine}) + "\n")
        sys.stdout.flush()


@contextmanager
def killing() -> Iterator[Callable[[Order], dict[str, bool]]]:
    """Carries out orders in processes that may die of them."""
    command = [sys.executable, "-m", "tests.flows.mortal"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        orders, answers = process.stdin, process.stdout
        assert orders is not None
        assert answers is not None

        def obeyed(order: Order) -> dict[str, bool]:
            orders.write(line(order))
            orders.flush()
            answer: dict[str, bool] = json.loads(answers.readline())
            return answer

        yield obeyed
        orders.close()


def line(order: Order) -> str:
    return json.dumps(asdict(order)) + "\n"


if __name__ == "__main__":
    main()
