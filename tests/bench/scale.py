"""What a large application costs against a small one.

Makes two data folders, one with 100 users in one application and one with 100,000, both through
the service's own sign-up, and times sign-in, refresh, `me` and a page of `listUsers` on both, in
turn, so that the machine's mood falls on both alike. Passwords are hashed with the cheapest
parameters: Argon2 would hide what the store costs.

    python -m tests.bench.scale [--users 100000] [--rounds 400] [--json FILE]

Prints medians in microseconds and their ratio, and whether `userCount` is right.
"""

import argparse
import json
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from app.applications.logic import Applications
from app.applications.types import Application, ApplicationSettings
from app.common.principals import ActorKind, Caller, Device
from app.passwords.logic import Passwords
from app.settings import Settings
from app.signin.logic import SignIns
from app.signing.types import Algorithm
from app.signup.logic import SignUps
from app.tokens.logic import Tokens
from app.tokens.types import Grant
from app.users.logic import Users
from app.wiring import Services, build

SMALL = 100
CEILING = 1.3
ORIGIN = "http://localhost:8000"
CALLER = Caller(
    actor=ActorKind.PUBLIC,
    actor_id=None,
    origin=ORIGIN,
    device=Device(user_agent="bench", ip_address="127.0.0.1"),
    request_id="bench",
)
PASSWORD = "a quiet little bird"
CHEAP = Passwords(memory_kib=8, passes=1)


@dataclass(frozen=True, kw_only=True)
class World:
    """One data folder and the application in it."""

    services: Services
    application: Application
    sign_ins: SignIns
    users: int

    def email(self, number: int) -> str:
        return f"user{number % self.users}@example.com"


def make(folder: Path, users: int) -> World:
    services = build(Settings(data_dir=folder, rate_limits="off"))
    applications: Applications = services.provided[Applications]
    settings = ApplicationSettings(name="Bench", signing_algorithm=Algorithm.ES256)
    application = applications.create(settings, CALLER)
    sign_ups: SignUps = replace(services.provided[SignUps], passwords=CHEAP)
    dispatcher = replace(services.housekeeper.dispatcher, consumers=())
    for number in range(users):
        sign_up(sign_ups, application, f"user{number}@example.com")
        if number % 20 == 0:
            dispatcher.run_once()
    dispatcher.run_once()
    sign_ins = replace(services.provided[SignIns], passwords=CHEAP)
    return World(services=services, application=application, sign_ins=sign_ins, users=users)


def sign_up(sign_ups: SignUps, application: Application, email: str) -> None:
    """Sign up, take the token out of the outbox as the mailer would, and verify."""
    sign_ups.request(application, email=email, password=PASSWORD, metadata={}, by=CALLER)
    outbox = sign_ups.journal.outbox
    for shard in outbox.shards():
        for delivery in outbox.pending(shard):
            letter = outbox.open(delivery)
            if letter is not None and letter["to"] == email and letter["token"] is not None:
                outbox.finish([delivery])
                sign_ups.verify(application, token=letter["token"], password=PASSWORD, by=CALLER)
                return
    raise LookupError(email)


def operations(world: World) -> dict[str, Callable[[int], object]]:
    """Each operation, as a function of the number of its round."""
    app, sign_ins = world.application, world.sign_ins
    tokens: Tokens = world.services.provided[Tokens]
    users: Users = world.services.provided[Users]

    def sign_in(number: int) -> Grant:
        email = world.email(number * 7919)
        return sign_ins.with_password(app, email=email, password=PASSWORD, by=CALLER)

    held = [sign_in(0)]

    def refresh(_: int) -> None:
        token = held[0].refresh_token
        held[0] = sign_ins.with_refresh_token(app, token=token, by=CALLER)

    def me(_: int) -> None:
        tokens.authenticate(app.id, held[0].access_token, ORIGIN)

    def page(_: int) -> None:
        users.page(app.id, limit=50, after=None)

    return {"sign-in": sign_in, "refresh": refresh, "me": me, "listUsers": page}


def timed(call: Callable[[int], object], number: int) -> float:
    started = time.perf_counter()
    call(number)
    return (time.perf_counter() - started) * 1e6


def compare(small: World, large: World, rounds: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    of_large = operations(large)
    for name, call in operations(small).items():
        pairs = [(timed(call, n), timed(of_large[name], n)) for n in range(rounds)]
        kept = pairs[rounds // 10 :]
        one = statistics.median(pair[0] for pair in kept)
        other = statistics.median(pair[1] for pair in kept)
        ratio = round(other / one, 2)
        rows.append({"operation": name, "small": one, "large": other, "ratio": ratio})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    logging.disable()
    with tempfile.TemporaryDirectory() as folder:
        small = make(Path(folder) / "small", SMALL)
        started = time.perf_counter()
        large = make(Path(folder) / "large", options.users)
        took = time.perf_counter() - started
        _, counted = large.services.provided[Applications].read(large.application.id)
        rows = compare(small, large, options.rounds)
    sys.stdout.write(f"{options.users} users made in {took:.0f} s; userCount {counted}\n")
    sys.stdout.write(f"{'operation':12}{SMALL:>10}{options.users:>10}  ratio  (limit {CEILING})\n")
    for row in rows:
        line = f"{row['operation']:12}{row['small']:10.0f}{row['large']:10.0f}  {row['ratio']:5}\n"
        sys.stdout.write(line)
    if options.json:
        options.json.write_text(json.dumps({"userCount": counted, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
