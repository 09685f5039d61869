"""What operations and months cost on AWS, as Markdown.

    python -m tests.bench.costs

Request units are those of `app/storage/keys.py`, which a test holds to what DynamoDB Local says.
CPU time is measured here, on this machine's core, through the whole app over SQLite; a function
of 1,769 MB has one core. A round trip to an AWS service within its region is taken for
`ROUND_TRIP_MS`. Prices are list prices of us-east-1 (aws.amazon.com/lambda/pricing,
/dynamodb/pricing, /api-gateway/pricing, /ses/pricing, /kms/pricing), without free tiers.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from app.adapters.mailbox import Mailbox
from app.storage import keys
from app.wiring import PACE_SECONDS
from tests.api.world import EMAIL, Tenant, open_world, tokens

SENDER = "Passerine <no-reply@localhost>"
ROUND_TRIP_MS = 5.0
MEMORY_GB = 1769 / 1024
RUNS = 25

INVOCATION = 0.20 / 1e6
REQUEST = 1.00 / 1e6 + INVOCATION  # through the HTTP API
GB_SECOND = 0.0000133334  # arm64
READ_UNIT, WRITE_UNIT = 0.125 / 1e6, 0.625 / 1e6
PUBLISH = 0.50 / 1e6  # SNS, FIFO
MESSAGE = 0.10 / 1e3  # SES
LOGS = 0.50 * 1e-6  # 1 KB a request, at 0.50 a GB
IDLE = {
    "the KMS key": 1.00,
    "the secret of the admin key": 0.40,
    "SnapStart's snapshot": MEMORY_GB * 0.0000015046 * 730 * 3600,
}

SIGN_IN, REFRESH = "requestUserToken (password)", "requestUserToken (refresh)"
EVENT, LETTER = "delivery of an event", "delivery of a message"
# What the stream wakes the function for: no request, but a call to SNS or SES.
OUTWARD = {EVENT, LETTER}
# What takes a time of its own, so as not to tell whether an address is known.
PACED = {"createUser", "requestPasswordReset"}
# What a user does in a month.
MONTH = {
    SIGN_IN: 4.0,
    REFRESH: 60.0,
    "readCurrentUser": 20.0,
    "createUser": 0.1,
    "verifyUser": 0.1,
    "requestPasswordReset": 0.2,
    "updatePassword": 0.2,
    EVENT: 4.3,
    LETTER: 0.5,
}


def units() -> dict[str, tuple[int, float, int, float]]:
    """Read calls and units, write calls and units of each operation."""
    assert keys.__doc__ is not None
    found = {}
    for line in keys.__doc__.splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        if len(cells) == 5 and cells[1].isdecimal():
            found[cells[0]] = (int(cells[1]), float(cells[2]), int(cells[3]), float(cells[4]))
    return found


def cpu(folder: Path) -> dict[str, float]:
    """Milliseconds of CPU of each operation of a month, medians; the test's client is in them."""
    found: dict[str, list[float]] = {}

    def take(name: str, call: Callable[[], Any]) -> Any:
        begun = time.process_time()
        answer = call()
        found.setdefault(name, []).append((time.process_time() - begun) * 1000)
        return answer

    with open_world(folder) as world:
        deliver = world.services.dispatcher.run_once
        mailbox = Mailbox(folder=world.folder / "mailbox", sender=SENDER)
        tenant: Tenant = world.tenant(signingAlgorithm="RS256")
        for number in range(RUNS):
            email = f"{number}.{EMAIL}"
            take("createUser", partial(tenant.sign_up, email))
            take(LETTER, deliver)
            invitation = mailbox.messages(email)[0].token
            grant = tokens(take("verifyUser", partial(tenant.verify, invitation)))
            deliver()
            take(SIGN_IN, partial(tenant.sign_in, email))
            take(EVENT, deliver)
            take("readCurrentUser", partial(tenant.me, grant["access"]))
            take(REFRESH, partial(tenant.refresh, grant["refresh"]))
            take("requestPasswordReset", partial(tenant.ask_reset, email))
            deliver()
            asked = mailbox.messages(email)[0].token
            assert asked is not None
            take("updatePassword", partial(tenant.reset, asked))
            deliver()
    return {name: statistics.median(times) for name, times in found.items()}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        spent = cpu(Path(folder))
    known, price = units(), dict[str, float]()
    out = [
        "| operation | read units | write units | GB-seconds | a million |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name in MONTH:
        reads, read_units, writes, write_units = known[name]
        seconds = (spent[name] + ROUND_TRIP_MS * (reads + writes + (name in OUTWARD))) / 1000
        if name in PACED:
            seconds = max(seconds, PACE_SECONDS)
        asked = INVOCATION + PUBLISH if name in OUTWARD else REQUEST + LOGS
        price[name] = (
            asked
            + MEMORY_GB * seconds * GB_SECOND
            + read_units * READ_UNIT
            + write_units * WRITE_UNIT
            + (MESSAGE if name == LETTER else 0)
        )
        out.append(
            f"| {name} | {read_units:g} | {write_units:g} | {MEMORY_GB * seconds:.3f} "
            f"| ${price[name] * 1e6:.2f} |"
        )
    user = sum(count * price[name] for name, count in MONTH.items())
    mail = MONTH[LETTER] * MESSAGE
    idle = sum(IDLE.values())
    out += ["", *(f"{what}: ${cost:.2f} a month" for what, cost in IDLE.items()), ""]
    out += ["| users a month | idle | use | of it messages | in all |", "| --- " * 5 + "|"]
    out += [
        f"| {users:,} | ${idle:,.2f} | ${users * user:,.0f} | ${users * mail:,.0f} "
        f"| ${users * user + idle:,.0f} |"
        for users in (10_000, 1_000_000, 10_000_000)
    ]
    sys.stdout.write("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
