"""Signed calls of AWS's JSON services, beside botocore's and over a server that misbehaves."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as TheirCredentials
from hypothesis import given
from hypothesis import strategies as st

from app.adapters import aws_json
from app.adapters.aws import Aws
from app.adapters.aws_json import (
    NO_ANSWER,
    SERVICES,
    AwsFault,
    Credentials,
    JsonClient,
    signed,
)
from tests.answering import Reply, There, answering

WHO = Credentials(access_key="AKIDEXAMPLE", secret_key="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
FD_SETSIZE = 1024  # what select(2) can look at
ENDPOINT = "https://dynamodb.eu-central-1.amazonaws.com"


def client(endpoint: str, *, attempts: int = 1, who: Credentials = WHO) -> JsonClient:
    return JsonClient(
        service=SERVICES["dynamodb"],
        endpoint=endpoint,
        region="eu-central-1",
        credentials=lambda: who,
        attempts=attempts,
    )


@given(
    body=st.binary(max_size=200),
    secret=st.text(min_size=1, max_size=40),
    token=st.none() | st.text(alphabet=st.characters(codec="ascii", exclude_categories=["C", "Z"])),
    seconds=st.integers(min_value=0, max_value=4_000_000_000),
)
def test_the_signature_is_the_one_that_botocore_makes(
    body: bytes, secret: str, token: str | None, seconds: int
) -> None:
    now = time.gmtime(seconds)
    who = Credentials(access_key="AKID", secret_key=secret, token=token)
    headers = {"host": "dynamodb.eu-central-1.amazonaws.com", "x-amz-target": "T.GetItem"}
    ours = signed(client(ENDPOINT, who=who), headers, body, now)
    theirs = SigV4Auth(TheirCredentials("AKID", secret, token), "dynamodb", "eu-central-1")
    request: Any = AWSRequest(method="POST", url=ENDPOINT + "/", data=body)
    for name, value in ours.items():
        if name not in {"authorization", "host"}:
            request.headers[name] = value
    request.context["timestamp"] = ours["x-amz-date"]
    canonical = theirs.canonical_request(request)
    text = theirs.string_to_sign(request, canonical)
    assert ours["authorization"].endswith(f"Signature={theirs.signature(text, request)}")


@pytest.fixture
def there() -> Iterator[There]:
    with answering() as opened:
        yield opened


def error(code: str) -> bytes:
    return json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "n": 1}).encode()


def test_a_call_is_json_for_its_operation_and_its_answer_is_read(there: There) -> None:
    there.replies.append((200, b'{"Item": {"a": {"S": "\xc3\xa4"}}}'))
    with closing(client(there.endpoint)) as calls:
        assert calls.call("GetItem", {"Key": {"pk": {"S": "ü"}}}) == {"Item": {"a": {"S": "ä"}}}
    (head,) = there.heads
    assert head["x-amz-target"] == "DynamoDB_20120810.GetItem"
    assert head["content-type"] == "application/x-amz-json-1.0"
    assert head["host"] == f"127.0.0.1:{there.port}"
    assert json.loads(there.bodies[0]) == {"Key": {"pk": {"S": "ü"}}}


def test_calls_share_a_connection(there: There) -> None:
    with closing(client(there.endpoint)) as calls:
        for _ in range(5):
            calls.call("GetItem", {})
    assert len(set(there.clients)) == 1


def test_a_connection_that_the_other_end_has_closed_is_not_used() -> None:
    with answering(keep=False) as there, closing(client(there.endpoint)) as calls:
        for _ in range(3):
            assert calls.call("GetItem", {}) == {}
    assert len(set(there.clients)) == 3


def test_a_connection_that_was_closed_while_it_lay_idle_is_not_used(there: There) -> None:
    with closing(client(there.endpoint)) as calls:
        calls.call("GetItem", {})
        (kept,) = calls._idle  # noqa: SLF001 - no other way leads to the socket
        kept.shutdown(socket.SHUT_RDWR)
        assert calls.call("GetItem", {}) == {}
    assert len(set(there.clients)) == 2


def test_a_process_with_a_thousand_open_files_keeps_its_connections(there: There) -> None:
    with ExitStack() as opened:
        while opened.enter_context(Path("/dev/null").open("rb")).fileno() < FD_SETSIZE:
            pass
        with closing(client(there.endpoint)) as calls:
            for _ in range(2):
                calls.call("GetItem", {})
    assert len(set(there.clients)) == 1


def test_many_threads_never_get_each_others_answers(there: There) -> None:
    faults: list[BaseException] = []

    def ask(calls: JsonClient) -> None:
        try:
            for _ in range(30):
                assert calls.call("GetItem", {}) == {}
        except BaseException as fault:
            faults.append(fault)

    with closing(client(there.endpoint)) as calls:
        threads = [threading.Thread(target=ask, args=(calls,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not faults
    assert len(there.heads) == 240


def test_an_error_has_its_code_its_status_and_what_came_with_it(there: There) -> None:
    there.replies.append((400, error("ConditionalCheckFailedException")))
    with closing(client(there.endpoint)) as calls, pytest.raises(AwsFault) as caught:
        calls.call("PutItem", {})
    fault = caught.value
    assert (fault.code, fault.status) == ("ConditionalCheckFailedException", 400)
    assert fault.answer["n"] == 1
    assert str(fault) == "ConditionalCheckFailedException"


DEEP = b"[" * 100_000


@pytest.mark.parametrize(
    "reply", [None, (200, b"{half"), (200, b""), (200, b"[]"), (200, DEEP), (502, b"<html>")]
)
def test_what_is_no_answer_is_said_to_be_none(there: There, reply: Reply) -> None:
    there.replies.append(reply)
    with closing(client(there.endpoint)) as calls:
        with pytest.raises(AwsFault) as caught:
            calls.call("PutItem", {})
        assert caught.value.code == NO_ANSWER
        assert calls.call("PutItem", {}) == {}


def test_a_server_that_keeps_silent_is_given_up(
    there: There, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws_json, "READ_SECONDS", 0.05)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with closing(client(f"http://127.0.0.1:{silent.getsockname()[1]}")) as calls:
            with pytest.raises(AwsFault) as caught:
                calls.call("PutItem", {})
            assert caught.value.code == NO_ANSWER


FAULTS: dict[str, Reply] = {
    "hung up": None,
    "internal": (500, error("InternalServerError")),
    "throttled": (400, error("ThrottlingException")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_may_pass_is_tried_again_as_often_as_was_said(there: There, fault: str) -> None:
    there.replies.extend([FAULTS[fault]] * 2)
    with closing(client(there.endpoint, attempts=3)) as calls:
        assert calls.call("Decrypt", {}) == {}
        there.replies.extend([FAULTS[fault]] * 3)
        with pytest.raises(AwsFault):
            calls.call("Decrypt", {})
    assert len(there.heads) == 6


@pytest.mark.parametrize("attempts", [1, 3])
def test_what_will_not_pass_is_not_tried_again(there: There, attempts: int) -> None:
    there.replies.append((400, error("AccessDeniedException")))
    with closing(client(there.endpoint, attempts=attempts)) as calls, pytest.raises(AwsFault):
        calls.call("Decrypt", {})
    assert len(there.heads) == 1


ENVIRONMENT = ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB")


@pytest.fixture
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> pytest.MonkeyPatch:
    """No variable of AWS's, and no files of its."""
    for name in (*ENVIRONMENT, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


Told = dict[str, str]


@pytest.mark.parametrize(
    ("variables", "endpoint"),
    [
        ({"AWS_REGION": "eu-west-1"}, "https://dynamodb.eu-west-1.amazonaws.com"),
        ({"AWS_DEFAULT_REGION": "cn-north-1"}, "https://dynamodb.cn-north-1.amazonaws.com.cn"),
        ({"AWS_REGION": "a", "AWS_ENDPOINT_URL": "http://localhost:1/"}, "http://localhost:1"),
        (
            {
                "AWS_REGION": "a",
                "AWS_ENDPOINT_URL": "http://localhost:1",
                "AWS_ENDPOINT_URL_DYNAMODB": "http://localhost:2",
            },
            "http://localhost:2",
        ),
    ],
)
def test_region_and_endpoint_are_those_of_the_sdks_own_variables(
    nothing_set: pytest.MonkeyPatch, variables: Told, endpoint: str
) -> None:
    for name, value in variables.items():
        nothing_set.setenv(name, value)
    assert Aws().json("dynamodb").endpoint == endpoint


def test_without_a_region_or_credentials_a_call_says_which_is_missing(
    nothing_set: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(AwsFault, match="NoRegionError"):
        Aws().json("dynamodb")
    nothing_set.setenv("AWS_REGION", "eu-west-1")
    with pytest.raises(AwsFault, match="NoCredentialsError"):
        Aws().json("dynamodb").call("GetItem", {})


def test_what_botocore_meets_on_its_way_is_a_fault_by_its_name_alone(
    nothing_set: pytest.MonkeyPatch, there: There, tmp_path: Path
) -> None:
    nothing_set.setenv("AWS_PROFILE", "no-such-profile")
    with pytest.raises(AwsFault, match=r"^ProfileNotFound$"):
        Aws().json("dynamodb")
    nothing_set.delenv("AWS_PROFILE")
    (tmp_path / "identity").write_text("a token of somebody's")
    nothing_set.setenv("AWS_REGION", "eu-west-1")
    nothing_set.setenv("AWS_ENDPOINT_URL", there.endpoint)
    nothing_set.setenv("AWS_ROLE_ARN", "arn:aws:iam::000000000000:role/none")
    nothing_set.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "identity"))
    told = b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>told</Message></Error>"
    there.replies.append((403, told + b"</ErrorResponse>"))
    with pytest.raises(AwsFault, match=r"^ClientError$"):
        Aws().json("dynamodb").call("GetItem", {})


def test_every_client_speaks_to_one_region(nothing_set: pytest.MonkeyPatch) -> None:
    nothing_set.setenv("AWS_REGION", "eu-west-1")
    aws = Aws()
    assert aws.json("dynamodb").region == "eu-west-1"
    assert aws.client("sesv2").meta.region_name == "eu-west-1"


def test_credentials_are_read_with_each_call(nothing_set: pytest.MonkeyPatch, there: There) -> None:
    nothing_set.setenv("AWS_REGION", "eu-west-1")
    nothing_set.setenv("AWS_ENDPOINT_URL", there.endpoint)
    nothing_set.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with closing(Aws().json("dynamodb")) as calls:
        for name in ("AKIDONE", "AKIDTWO"):
            nothing_set.setenv("AWS_ACCESS_KEY_ID", name)
            calls.call("GetItem", {})
    assert "AKIDONE" in there.heads[0]["authorization"]
    assert "AKIDTWO" in there.heads[1]["authorization"]


def test_a_containers_credentials_are_found_as_after_a_restore(
    nothing_set: pytest.MonkeyPatch, there: There, tmp_path: Any
) -> None:
    """SnapStart gives a function no variables with credentials, but a place to ask for them."""
    (tmp_path / "token").write_text("pass")

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            told = {
                "AccessKeyId": "AKIDROLE",
                "SecretAccessKey": "secret",
                "Token": "session",
                "Expiration": "2999-01-01T00:00:00Z",
            }
            answer = json.dumps(told).encode()
            allowed = self.headers["Authorization"] == "pass"
            self.send_response(200 if allowed else 403)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        place = f"http://127.0.0.1:{server.server_address[1]}/credentials"
        nothing_set.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", place)
        nothing_set.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "pass")
        nothing_set.setenv("AWS_REGION", "eu-west-1")
        nothing_set.setenv("AWS_ENDPOINT_URL", there.endpoint)
        with closing(Aws().json("dynamodb")) as calls:
            calls.call("GetItem", {})
        server.shutdown()
        thread.join()
    assert "Credential=AKIDROLE/" in there.heads[0]["authorization"]
    assert there.heads[0]["x-amz-security-token"] == "session"


def test_secrets_of_credentials_are_not_shown() -> None:
    who = Credentials(access_key="AKID", secret_key="hidden", token="hidden")
    assert "hidden" not in repr(who)
    assert "hidden" not in repr(client(ENDPOINT, who=who))
