"""Whether an answer tells that an address is known: by its bytes, its headers, or its time.

Sends each route pairs of requests that differ in nothing but whether the address, or the token, is
one that the service knows, and says how well the time of the answer tells the two apart: the area
under the ROC curve, from 0.5 (not at all) to 1.0 (always).

    python -m tests.bench.sameness [--pairs 500] [--store sqlite|dynamodb]

The real server answers over SQLite, and the Lambda handler over DynamoDB Local (see
`tests/dynamodb_local.py`). Every address is asked about once on a route. Each request waits until
no event is left to be delivered, and then for a random part of the time between two looks into
the outbox, so that deliveries disturb both kinds alike. Exits with 1 if a pair differs, or if the
area of a route that knows addresses is above the limit. The others are about tokens of 256 random
bits, which nobody can try.
"""

import argparse
import http.client
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from app.adapters.platform import POLL_SECONDS
from app.common.secrets import new_token
from app.lambda_handler import Handler
from app.settings import Settings
from app.wiring import build
from tests.dynamodb_local import client, create_table, dynamodb_local
from tests.flows import invariants
from tests.flows.client import RESET, VERIFICATION, Answer, Call, Client, opened_client
from tests.flows.server import PATIENT, serving
from tests.gateway import Request, answered, event
from tests.unlimited import unlimited

PAIRS = 500
LIMIT = 0.60
PASSWORD = "a horse that nobody staples"
WRONG = "another horse, in another field"
PUBLIC_URL = "https://auth.example.com"
ADMIN_KEY = "an-admin-key-of-the-benchmark-0123456789"
# Everything is counted as ever, and nothing is refused.
LIMITS = {"rate_limits": "on", **unlimited("dynamodb")}
OWN = {"date", "x-request-id"}
Timed: TypeAlias = tuple[float, Answer[Any]]
Pair: TypeAlias = tuple[Call[Any], Call[Any]]


@dataclass(frozen=True, kw_only=True)
class Place:
    """A service that does nothing but answer us.

    Attributes:
        folder: where it keeps its messages.
        exchange: sends a call; the seconds that its answer took, and the answer.
        rest: waits until nothing goes on there.
        deliver: waits until every message was sent.
    """

    name: str
    folder: Path
    client: Client
    exchange: Callable[[Call[Any]], Timed]
    rest: Callable[[], None]
    deliver: Callable[[], None]

    def done(self, call: Call[Any]) -> Any:
        """The answer to a call that succeeds."""
        return call.succeeded(self.exchange(call)[1])

    def tokens(self, kind: str) -> dict[str, str]:
        """The token of the newest message of a kind to each address."""
        self.deliver()
        found = invariants.mailbox(self.folder)
        return {one["to"]: one["token"] for one in found if one["kind"] == kind}


@dataclass(frozen=True, kw_only=True)
class Case:
    """Two kinds of requests that should get one answer.

    Attributes:
        pairs: of a known thing and an unknown one; each call is sent once.
        judged: whether its time counts.
    """

    route: str
    known: str
    pairs: Sequence[Pair]
    judged: bool = True


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was found: medians in milliseconds, the area, and what first differed if anything."""

    case: Case
    known: float
    unknown: float
    area: float
    difference: str | None

    @property
    def good(self) -> bool:
        return self.difference is None and (self.area <= LIMIT or not self.case.judged)


def area(known: Collection[float], unknown: Collection[float]) -> float:
    """The area under the ROC curve of the better of the two guesses "slow is known", "fast is".

    The rank-sum statistic of Mann and Whitney; equal values share their ranks.
    """
    ranks: dict[float, float] = {}
    below = 0
    everything = sorted([*known, *unknown])
    for value in everything:
        if value not in ranks:
            count = everything.count(value)
            ranks[value] = below + (count + 1) / 2
            below += count
    least = len(known) * (len(known) + 1) / 2
    found = (sum(ranks[value] for value in known) - least) / (len(known) * len(unknown))
    return max(found, 1 - found)


def compare(place: Place, case: Case, chance: random.Random) -> Row:
    """Send every pair, in either order."""
    times: tuple[list[float], list[float]] = ([], [])
    difference: str | None = None
    for pair in case.pairs:
        answers: dict[int, Answer[Any]] = {}
        for which in chance.sample((0, 1), 2):
            place.rest()
            took, answers[which] = place.exchange(pair[which])
            times[which].append(took * 1000)
        known, unknown = (bare(pair[which], answers[which]) for which in (0, 1))
        if known != unknown and difference is None:
            difference = f"{known} and {unknown}"
    return Row(
        case=case,
        known=statistics.median(times[0]),
        unknown=statistics.median(times[1]),
        area=area(*times),
        difference=difference,
    )


def bare(call: Call[Any], answer: Answer[Any]) -> tuple[int, dict[str, str], str]:
    """An answer without the request's own id and time, and without the token that was sent."""
    headers = {name: value for name, value in answer.headers.items() if name not in OWN}
    text = answer.text.replace(answer.headers["x-request-id"], "")
    token = call.path.partition("token=")[2]
    return answer.status, headers, text.replace(token, "") if token else text


def cases(place: Place, count: int, chance: random.Random) -> Iterator[Case]:
    """Every case with so many pairs, each made when the one before it is over."""
    of = place.client
    app = place.done(of.create_application(signingAlgorithm="EdDSA", name="Bench"))["id"]

    def fresh() -> list[str]:
        return [f"{chance.getrandbits(64):016x}@example.com" for _ in range(count)]

    def about(route: str, known: str, ask: Callable[[str], Call[Any]]) -> Case:
        pairs = [(ask(one), ask(other)) for one, other in zip(kinds[known], fresh(), strict=True)]
        return Case(route=route, known=known, pairs=pairs)

    def with_token(
        route: str, known: str, ask: Callable[[str], Call[Any]], those: list[str]
    ) -> Case:
        pairs = [(ask(one), ask(new_token())) for one in those]
        return Case(route=route, known=known, pairs=pairs, judged=route.endswith("page"))

    users, invited = fresh(), fresh()
    kinds = {"a user": users, "an invitation": invited}
    for email in (*users, *invited):
        place.done(of.create_user(app, email, PASSWORD))
    sent = place.tokens(VERIFICATION)
    used = [sent[email] for email in users]
    for token in used:
        place.done(of.verify_user(app, token, PASSWORD))
    place.deliver()

    yield about("requestUserToken", "a user", lambda email: of.sign_in(app, email, WRONG))
    yield about("createUser", "a user", lambda email: of.create_user(app, email, PASSWORD))
    for known in kinds:
        yield about("sendEmailVerification", known, lambda email: of.send_verification(app, email))
    yield about("requestPasswordReset", "a user", lambda email: of.request_reset(app, email))

    sent = place.tokens(VERIFICATION)
    living = [sent[email] for email in invited]
    yield with_token("verification page", "a token", partial(_page, app, "verification"), living)
    yield with_token(
        "verifyUser", "a used token", lambda token: of.verify_user(app, token, PASSWORD), used
    )
    sent = place.tokens(RESET)
    living = [sent[email] for email in users]
    yield with_token("reset page", "a token", partial(_page, app, "password/reset"), living)
    for email in users:
        place.done(of.request_reset(app, email))
    yield with_token(
        "updatePassword",
        "a void token",
        lambda token: of.update_password(app, token, WRONG),
        living,
    )


def _page(app: str, page: str, token: str) -> Call[Any]:
    path = f"/v1/applications/{app}/users/{page}?token={token}"
    return Call(method="GET", path=path, success=200, headers={}, sender=_nobody)


def _nobody(call: Call[Any]) -> Answer[Any]:
    raise AssertionError(f"{call.path} is sent by the place alone")


@contextmanager
def over_sqlite(folder: Path, chance: random.Random) -> Iterator[Place]:
    """The real server, over one connection that stays open."""
    settings = {**LIMITS, "ADMIN_API_KEY": ADMIN_KEY, "LOG_LEVEL": "warning"}
    with ExitStack() as stack:
        server = stack.enter_context(serving(folder, *PATIENT, settings=settings))
        connection = stack.enter_context(
            closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60))
        )

        def exchange(call: Call[Any]) -> Timed:
            body, headers = call.content or None, dict(call.headers)
            begun = time.perf_counter()
            connection.request(call.method, call.path, body=body, headers=headers)
            found = connection.getresponse()
            content = found.read()
            took = time.perf_counter() - begun
            headers = {name.lower(): value for name, value in found.getheaders()}
            return took, Answer(status=found.status, headers=headers, text=content.decode())

        def rest() -> None:
            if invariants.undelivered(folder):
                invariants.wait_for_rest(folder)
                time.sleep(chance.uniform(0, POLL_SECONDS["sqlite"]))

        yield Place(
            name="uvicorn, SQLite",
            folder=folder,
            client=stack.enter_context(opened_client(server.url, ADMIN_KEY)),
            exchange=exchange,
            rest=rest,
            deliver=partial(invariants.wait_for_rest, folder),
        )


@contextmanager
def over_dynamodb(folder: Path, _: random.Random) -> Iterator[Place]:
    """The handler in this process."""
    with ExitStack() as stack:
        endpoint = stack.enter_context(dynamodb_local())
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": endpoint,
        }.items():
            patch.setenv(name, value)
        settings = Settings(
            store="dynamodb",
            table_name=create_table(stack.enter_context(closing(client(endpoint)))),
            data_dir=folder,
            public_url=PUBLIC_URL,
            admin_api_key=ADMIN_KEY,
            **LIMITS,
        )
        services = build(settings)
        handler = stack.enter_context(closing(Handler(services=services)))

        def exchange(call: Call[Any]) -> Timed:
            path, _, query = call.path.partition("?")
            headers = [("Host", PUBLIC_URL.removeprefix("https://")), *call.headers.items()]
            asked = Request(
                method=call.method, path=path, query=query, headers=headers, body=call.content
            )
            made = event("http", asked)
            begun = time.perf_counter()
            answer = handler(made, None)
            took = time.perf_counter() - begun
            found = answered(answer)
            told = {name.lower(): value for name, value in found.headers.items()}
            return took, Answer(status=found.status_code, headers=told, text=found.text)

        yield Place(
            name="Lambda handler, DynamoDB",
            folder=folder,
            client=stack.enter_context(opened_client(PUBLIC_URL, ADMIN_KEY)),
            exchange=exchange,
            rest=lambda: None,  # an environment does one thing at a time
            deliver=services.dispatcher.run_once,
        )


PLACES = {"sqlite": over_sqlite, "dynamodb": over_dynamodb}


def line(place: Place, row: Row) -> str:
    told = "same" if row.difference is None else row.difference
    return (
        f"{place.name:26}{row.case.route:24}{row.case.known:16}{row.known:9.2f}"
        f"{row.unknown:9.2f}{row.area:7.3f}  {'' if row.good else 'FAILED: '}{told}\n"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--store", choices=sorted(PLACES))
    options = parser.parse_args()
    chance, failed = random.Random(), False
    head = f"{'place':26}{'route':24}{'known':16}{'known':>9}{'unknown':>9}{'area':>7}  bytes"
    sys.stdout.write(f"{options.pairs} pairs a route; medians in ms; limit {LIMIT}\n{head}\n")
    for name in [options.store] if options.store else PLACES:
        with (
            tempfile.TemporaryDirectory() as folder,
            PLACES[name](Path(folder) / "data", chance) as place,
        ):
            for case in cases(place, options.pairs, chance):
                row = compare(place, case, chance)
                sys.stdout.write(line(place, row))
                sys.stdout.flush()
                failed |= not row.good
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
