"""How fast the service is, beside yardsticks of the same run on the same machine.

    python3 -m uv run --group bench python -m tests.bench.speed

Cold starts and warm requests are those of the real handler under `awslambdaric`, over DynamoDB
Local and an emulated KMS; rates are those of uvicorn with one worker over SQLite. Every figure is a
median, and what is compared is measured in turn, so that the machine's mood falls on both alike.
Needs Linux, and what the README's "Test it" names for DynamoDB Local and the emulator.

    --json FILE   write the figures too
    --with FILE   show those of another run beside them, such as one on another Python
    --chart FILE  draw the ratios
"""

import argparse
import io
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import argon2
import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.main import AREAS
from app.passwords.logic import HASH_BYTES, LANES, MEMORY_KIB, PASSES, SALT_BYTES
from tests.api.world import EMAIL, PASSWORD
from tests.bench import chart
from tests.bench.costs import GB_SECOND, ROUND_TRIP_MS, units
from tests.bench.lambda_runtime import Function, function
from tests.bench.load import Load, put_load, request, served
from tests.bench.stage import Stage, stage
from tests.dynamodb_local import client
from tests.serving import serving

ROOT = Path(__file__).parents[2]
OURS = "app.lambda_handler.handler"
NAIVE = "tests.bench.yardsticks.naive.handler"
BARE = "tests.bench.yardsticks.bare.handler"
CONNECTIONS = 16
CORE_MB = 1769  # of memory, with which a whole core comes
TURNS = 12  # of each server in the load: short ones, for the machine's mood changes in seconds
SIGN_INS = 32
HOT = {
    "readApplication": "readApplication",
    "me": "readCurrentUser",
    "refresh": "requestUserToken (refresh)",
    "sign-in": "requestUserToken (password)",
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """A figure of ours and of a yardstick.

    Attributes:
        limit: what their ratio may be at most; at least, where `more` is better. Of a figure
            without a yardstick, what it may be itself.
    """

    name: str
    ours: float
    yardstick: float | None
    unit: str
    against: str
    limit: float
    more: bool = False

    @property
    def ratio(self) -> float:
        return self.ours if self.yardstick is None else self.ours / self.yardstick

    @property
    def kept(self) -> bool:
        return self.ratio >= self.limit if self.more else self.ratio <= self.limit


@dataclass(kw_only=True)
class Report:
    """All that a run found.

    Attributes:
        details: what the rows are made of, and what stands beside them, by section.
    """

    python: str
    rows: list[Row] = field(default_factory=list)
    details: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)


def cold(report: Report, there: Stage, rounds: int) -> None:
    """Start each function anew, and ask it once."""
    found: dict[str, list[dict[str, float]]] = {}
    event = there.read_application()
    for number in range(rounds + 1):
        for name, handler in {"ours": OURS, "naive": NAIVE, "bare": BARE}.items():
            with _started(there, handler) as one:
                first = one.invoke(event)
                assert first.body["statusCode"] == 200, first.body
                row = {
                    "init ms": one.init_ms,
                    "first request ms": first.milliseconds,
                    "wall ms": one.init_ms + first.milliseconds,
                    "CPU ms": one.cpu_ms(),
                    "peak MiB": one.peak_mb(),
                }
            if number:  # the first may have compiled
                found.setdefault(name, []).append(row)
        if number:
            found.setdefault("ours, restored", []).append(_restored(there, event))
    medians = {name: _medians(rows) for name, rows in found.items()}
    report.details["cold start"] = medians
    ours, naive = medians["ours"], medians["naive"]
    for name, limit in (("wall ms", 0.45), ("CPU ms", 0.45), ("peak MiB", 0.65)):
        kind, unit = name.split()
        figure = Row(
            name=f"cold start and first readApplication, {kind}",
            ours=ours[name],
            yardstick=naive[name],
            unit=unit,
            against="naive app",
            limit=limit,
        )
        report.rows.append(figure)


def _restored(there: Stage, event: dict[str, Any]) -> dict[str, float]:
    """What is left of a cold start when init was done before a snapshot."""
    with _started(there, OURS, snap_start=True) as one:
        first = one.invoke(event)
        assert first.body["statusCode"] == 200, first.body
        return {
            "init ms": one.restore_ms,
            "first request ms": first.milliseconds,
            "wall ms": one.restore_ms + first.milliseconds,
            "CPU ms": one.cpu_ms() - one.init_cpu_ms,
            "peak MiB": one.peak_mb(),
        }


def warm(report: Report, there: Stage, rounds: int) -> None:
    """Ask running functions in turn, and do what yardsticks do between."""
    with ExitStack() as stack:
        ours = stack.enter_context(_started(there, OURS))
        naive = stack.enter_context(_started(there, NAIVE))
        bare = stack.enter_context(_started(there, BARE))
        grant = _grant(ours, there.sign_in(there.applications[0]))
        held = [grant["refreshToken"]]

        def refresh() -> float:
            answer = ours.invoke(there.refresh(held[0]))
            held[0] = json.loads(answer.body["body"])["refreshToken"]
            return answer.milliseconds

        read, me = there.read_application(), there.me(grant["accessToken"])
        sign_in = there.sign_in(there.applications[0])
        asked: dict[str, tuple[Function | None, Callable[[], float]]] = {
            "readApplication": (ours, partial(_ask, ours, read)),
            "me": (ours, partial(_ask, ours, me)),
            "refresh": (ours, refresh),
            "naive, one read": (naive, partial(_ask, naive, read)),
            "bare handler": (bare, partial(_ask, bare, read)),
            "one GetItem by botocore": (None, _timed(_botocore(there))),
            "RS256 signature": (None, _timed(_signature())),
        }
        hashed: dict[str, tuple[Function | None, Callable[[], float]]] = {
            "sign-in": (ours, partial(_ask, ours, sign_in)),
            "Argon2 verification": (None, _timed(_argon2())),
        }
        figures = {**_in_turn(asked, rounds), **_in_turn(hashed, max(10, rounds // 4))}
    report.details["warm requests"] = figures
    for name, against, limit in (
        ("readApplication", "naive, one read", 0.65),
        ("me", "naive, one read", 0.80),
        ("refresh", "naive, one read", 1.5),
        ("sign-in", "Argon2 verification", 1.30),
    ):
        row = Row(
            name=f"warm {name}",
            ours=figures[name]["p50 ms"],
            yardstick=figures[against]["p50 ms"],
            unit="ms",
            against=against,
            limit=limit,
        )
        report.rows.append(row)


def first_sign_ins(report: Report, there: Stage) -> None:
    """Sign in at applications whose keys a warm function has not opened yet."""
    more = []
    with _started(there, OURS) as ours:
        for _ in range(3):
            _grant(ours, there.sign_in(there.applications[0]))
        for application in there.applications[1:]:
            event = there.sign_in(application)
            first = ours.invoke(event).milliseconds
            more.append(first - statistics.median(ours.invoke(event).milliseconds for _ in "three"))
    row = Row(
        name="an application's first sign-in, more than its next",
        ours=statistics.median(more),
        yardstick=None,
        unit="ms",
        against="",
        limit=60,
    )
    report.rows.append(row)


def rates(report: Report, folder: Path, seconds: float) -> None:
    """Ask servers for the own account, as fast as they answer."""
    token, public = _rs256()
    with ExitStack() as stack:
        verifying, _ = stack.enter_context(
            served("tests.bench.yardsticks.rs256:app", {"BENCH_PUBLIC_KEY": public})
        )
        members, _ = stack.enter_context(
            served("tests.bench.yardsticks.members:app", {"BENCH_DATABASE": str(folder / "m.db")})
        )
        path = _signed_up(folder / "ours")
        told = {
            "PASSERINE_DATA_DIR": str(folder / "ours"),
            "PASSERINE_LOG_LEVEL": "warning",
            "PASSERINE_RATE_LIMITS": "off",
        }
        port, pid = stack.enter_context(served("app.main:app", told))
        bearer = {"Authorization": f"Bearer {_signed_in(port, path)}"}
        me = request("GET", f"{path}/users/me", bearer)
        asked = {
            "me": (port, me),
            "RS256 endpoint": (
                verifying,
                request("GET", "/me", {"Authorization": f"Bearer {token}"}),
            ),
            "fastapi-users": (members, request("GET", "/users/me", _member(members))),
        }
        loads: dict[str, list[Load]] = {}
        for number in range(TURNS + 1):
            for name, (there, wire) in asked.items():
                load = put_load(there, wire, connections=CONNECTIONS, seconds=seconds / TURNS)
                if number:
                    loads.setdefault(name, []).append(load)
        _busy(report, port, pid, me, path, seconds)
    found = {name: _load_medians(several) for name, several in loads.items()}
    report.details["uvicorn, one worker, SQLite, 16 connections"] = found
    for against, limit in (("RS256 endpoint", 0.6), ("fastapi-users", 1.5)):
        row = Row(
            name="me, one worker",
            ours=found["me"]["answers a second"],
            yardstick=found[against]["answers a second"],
            unit="/s",
            against=against,
            limit=limit,
            more=True,
        )
        report.rows.append(row)


def _busy(report: Report, port: int, pid: int, me: bytes, path: str, seconds: float) -> None:
    """Ask for the own account while 32 clients sign in."""
    idle = put_load(port, me, connections=1, seconds=seconds / 2)
    body = json.dumps({"email": EMAIL, "password": PASSWORD}).encode()
    wire = request("POST", f"{path}/users/token", {"Content-Type": "application/json"}, body)
    with _beside(port, wire, SIGN_INS, seconds):
        time.sleep(0.5)
        busy = put_load(port, me, connections=1, seconds=seconds / 2)
        peak = _resident(pid)
    report.details["beside 32 sign-ins"] = {
        "me": {"idle p50 ms": idle.median, "p50 ms": busy.median, "p99 ms": busy.percentile(0.99)},
        "process": {"MiB": peak},
    }
    row = Row(
        name="p99 of me while 32 sign-ins run",
        ours=busy.percentile(0.99),
        yardstick=idle.median,
        unit="ms",
        against="idle p50",
        limit=10,
    )
    report.rows.append(row)


@contextmanager
def _beside(port: int, wire: bytes, connections: int, seconds: float) -> Iterator[None]:
    """Put load on a server from a process of its own while the block runs."""
    context = multiprocessing.get_context("spawn")
    told = {"connections": connections, "seconds": seconds + 1}
    process = context.Process(target=put_load, args=(port, wire), kwargs=told)
    process.start()
    time.sleep(1)  # it imports
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _started(
    there: Stage, handler: str, *, snap_start: bool = False
) -> AbstractContextManager[Function]:
    routes = sum(len(area.routes) for area in AREAS)
    more = {"PYTHONPATH": str(ROOT), "BENCH_ROUTES": str(routes)}
    environment = {**there.environment, **more}
    return function(handler, environment, folder=ROOT, snap_start=snap_start)


def _ask(there: Function, event: dict[str, Any]) -> float:
    answer = there.invoke(event)
    assert answer.body["statusCode"] == 200, answer.body
    return answer.milliseconds


def _grant(there: Function, event: dict[str, Any]) -> dict[str, str]:
    answer = there.invoke(event)
    assert answer.body["statusCode"] == 200, answer.body
    grant: dict[str, str] = json.loads(answer.body["body"])
    return grant


def _in_turn(
    asked: dict[str, tuple[Function | None, Callable[[], float]]], rounds: int
) -> dict[str, dict[str, float]]:
    """Milliseconds of each, one after another in every round; and CPU time, each by itself."""
    times: dict[str, list[float]] = {name: [] for name in asked}
    for number in range(rounds + rounds // 10):
        for name, (_, call) in asked.items():
            taken = call()
            if number >= rounds // 10:
                times[name].append(taken)
    found = {}
    for name, (there, call) in asked.items():
        load = Load(seconds=1, times=times[name])
        found[name] = {
            "p50 ms": load.median,
            "p95 ms": load.percentile(0.95),
            "p99 ms": load.percentile(0.99),
        }
        if there is not None:
            before, count = there.cpu_ms(), max(10, rounds // 4)
            for _ in range(count):
                call()
            found[name]["CPU ms"] = (there.cpu_ms() - before) / count
    return found


def _timed(call: Callable[[], object]) -> Callable[[], float]:
    def taken() -> float:
        begun = time.perf_counter()
        call()
        return (time.perf_counter() - begun) * 1000

    return taken


def _botocore(there: Stage) -> Callable[[], object]:
    dynamodb = client(there.environment["AWS_ENDPOINT_URL_DYNAMODB"])
    key = {"pk": {"S": f"app#{there.applications[0]}"}, "sk": {"S": "application"}}
    return partial(dynamodb.get_item, TableName=there.table, Key=key, ConsistentRead=True)


def _signature() -> Callable[[], object]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return partial(jwt.encode, {"sub": "ada"}, key, algorithm="RS256")


def _argon2() -> Callable[[], object]:
    hasher = argon2.PasswordHasher(
        time_cost=PASSES,
        memory_cost=MEMORY_KIB,
        parallelism=LANES,
        hash_len=HASH_BYTES,
        salt_len=SALT_BYTES,
    )
    return partial(hasher.verify, hasher.hash(PASSWORD), PASSWORD)


def _rs256() -> tuple[str, str]:
    """A token, and the public key in PEM that it verifies under."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    now = int(time.time())
    claims = {"sub": "ada", "aud": "bench", "iat": now, "exp": now + 3600, "iss": "bench"}
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return jwt.encode(claims, key, algorithm="RS256"), public.decode()


def _signed_up(folder: Path) -> str:
    """An application with a user in a data folder: its path."""
    # The start's own words have no place in the table that this prints.
    with redirect_stdout(io.StringIO()), serving(folder) as server:
        path = server.create_application(accessTokenLifetime=86_400)
        server.sign_up(path, EMAIL, PASSWORD)
    return path


def _signed_in(port: int, path: str) -> str:
    """An access token of that user."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:
        body = {"email": EMAIL, "password": PASSWORD}
        answer = http.post(f"{path}/users/token", json=body).raise_for_status()
    return str(answer.json()["accessToken"])


def _member(port: int) -> dict[str, str]:
    """The headers of a user of fastapi-users."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:
        account = {"email": EMAIL, "password": PASSWORD}
        http.post("/register", json=account).raise_for_status()
        told = {"username": EMAIL, "password": PASSWORD}
        token = http.post("/login", data=told).raise_for_status().json()["access_token"]
    return {"Authorization": f"Bearer {token}"}


def _medians(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def _load_medians(loads: list[Load]) -> dict[str, float]:
    return {
        "answers a second": statistics.median(load.rate for load in loads),
        "p50 ms": statistics.median(load.median for load in loads),
        "p99 ms": statistics.median(load.percentile(0.99) for load in loads),
    }


def _resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(one for one in status.splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def memory(report: Report) -> None:
    """What operations take and cost at a function's memory, which buys CPU: reckoned, not measured.

    A core comes with 1,769 MB, and its share with less
    (https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html); one request uses one
    core at most. A call to an AWS service is taken for `ROUND_TRIP_MS` as in `costs.py`.
    """
    warm, cold_start = report.details["warm requests"], report.details["cold start"]["ours"]
    known, found = units(), dict[str, dict[str, float]]()
    for megabytes in (256, 512, 1024, 1769, 3008):
        share = min(1.0, megabytes / CORE_MB)
        row = {"cold start ms": cold_start["CPU ms"] / share}
        for name, operation in HOT.items():
            reads, _, writes, _ = known[operation]
            calls = writes + (1 if name == "readApplication" else reads)
            row[f"{name} ms"] = warm[name]["CPU ms"] / share + calls * ROUND_TRIP_MS
        price = row["sign-in ms"] / 1000 * megabytes / 1024 * GB_SECOND * 1e6
        found[f"{megabytes:,} MB"] = {**row, "$ a million sign-ins": price}
    report.details["Lambda's memory, reckoned"] = found


def table(reports: list[Report]) -> str:
    """The rows of every report, as Markdown, with the request units of each operation."""
    shown = " | ".join(f"Python {report.python}" for report in reports)
    lines = [f"| what | against | {shown} | limit |", "| --- " * (3 + len(reports)) + "|"]
    for number, row in enumerate(reports[0].rows):
        cells = " | ".join(_cell(report.rows[number]) for report in reports)
        limit = f"at least {row.limit:g}" if row.more else f"at most {row.limit:g}"
        lines.append(f"| {row.name} | {row.against or '-'} | {cells} | {limit} |")
    known = units()
    lines += ["", "| operation | reads | read units | writes | write units |", "| --- " * 5 + "|"]
    for name, operation in HOT.items():
        reads, read_units, writes, write_units = known[operation]
        lines.append(f"| {name} | {reads} | {read_units:g} | {writes} | {write_units:g} |")
    for section in reports[0].details:
        for report in reports:
            lines += ["", f"**{section}**, Python {report.python}", ""]
            lines += _details(report.details[section])
    return "\n".join(lines) + "\n"


def _cell(row: Row) -> str:
    mark = "" if row.kept else " (!)"
    if row.yardstick is None:
        return f"{row.ours:.1f} {row.unit}{mark}"
    return f"{row.ratio:.2f}{mark} ({_short(row.ours)} to {_short(row.yardstick)} {row.unit})"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}" if value < 10 else f"{value:.1f}"


def _details(rows: dict[str, dict[str, float]]) -> list[str]:
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = [f"| | {' | '.join(names)} |", "| --- " * (1 + len(names)) + "|"]
    for title, row in rows.items():
        cells = " | ".join(_short(row[name]) if name in row else "-" for name in names)
        lines.append(f"| {title} | {cells} |")
    return lines


def read(path: Path) -> Report:
    """A report that was written before."""
    held = json.loads(path.read_text())
    rows = [Row(**row) for row in held["rows"]]
    return Report(python=held["python"], rows=rows, details=held["details"])


def measure(folder: Path, *, starts: int, rounds: int, seconds: float) -> Report:
    """Everything, once."""
    report = Report(python=f"{sys.version_info.major}.{sys.version_info.minor}")
    with stage(folder) as there:
        cold(report, there, starts)
        warm(report, there, rounds)
        first_sign_ins(report, there)
    rates(report, folder, seconds)
    memory(report)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--starts", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--with", type=Path, dest="other")
    parser.add_argument("--chart", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = measure(
            Path(folder), starts=given.starts, rounds=given.rounds, seconds=given.seconds
        )
    if given.json:
        given.json.write_text(json.dumps(asdict(report), indent=1) + "\n")
    reports = [read(given.other), report] if given.other else [report]
    if given.chart:
        given.chart.write_text(chart.draw([_bars(one) for one in reports]))
    sys.stdout.write(table(reports))


def _bars(report: Report) -> chart.Series:
    """The ratios as shares of their limits; what must be more is turned round."""
    bars = [
        (f"{row.name} / {row.against}" if row.against else row.name,
         row.limit / row.ratio if row.more else row.ratio / row.limit)
        for row in report.rows
    ]  # fmt: skip
    return chart.Series(title=f"Python {report.python}", bars=bars)


if __name__ == "__main__":
    main()
