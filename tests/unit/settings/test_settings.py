"""What the process is told, and the one clear line that it answers to a wrong value."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from app.common.errors import CannotStart
from app.limits.types import Limits, Rate
from app.settings import PREFIX, Settings, load
from app.wiring import build

SMTP = {"EMAIL": "smtp", "SMTP_URL": "smtps://mail.example.com"}


def given(**values: str) -> dict[str, str]:
    return {PREFIX + name: value for name, value in values.items()}


def line(environment: dict[str, str]) -> str:
    with pytest.raises(CannotStart) as caught:
        load(environment)
    return str(caught.value)


def test_nothing_needs_to_be_said() -> None:
    settings = load({})
    assert settings == Settings()
    assert settings.store == "sqlite"
    assert settings.data_dir == Path(".passerine")
    assert settings.email == "mailbox"
    assert settings.admin_api_key is None
    assert settings.public_url is None
    assert settings.trusted_proxies == ()
    assert (settings.log_level, settings.log_format) == ("info", "text")


def test_an_empty_value_is_none_at_all_and_other_variables_are_others() -> None:
    assert load({**given(PUBLIC_URL="", ADMIN_API_KEY=""), "PUBLIC_URL": "x", "PATH": "y"}) == load(
        {}
    )


def test_every_setting_is_read_from_its_variable() -> None:
    settings = load(
        given(
            STORE="SQLite",
            DATA_DIR="/data",
            ADMIN_API_KEY="k" * 24,
            PUBLIC_URL="https://auth.example.com/",
            EMAIL_FROM="Ann <ann@example.com>",
            TRUSTED_PROXIES="10.0.0.0/8, 2001:db8::/32,,192.0.2.1",
            LOG_LEVEL="DEBUG",
            LOG_FORMAT="JSON",
            **SMTP,
        )
    )
    assert settings.data_dir == Path("/data")
    assert settings.public_url == "https://auth.example.com"
    assert [str(one) for one in settings.trusted_proxies] == [
        "10.0.0.0/8",
        "2001:db8::/32",
        "192.0.2.1/32",
    ]
    assert (settings.log_level, settings.log_format) == ("debug", "json")
    assert settings.email == "smtp"


@pytest.mark.parametrize(
    "url",
    ["https://a.example", "https://a.example:8443", "http://localhost:8000", "http://[::1]:81"],
)
def test_a_public_url_is_an_origin(url: str) -> None:
    assert load(given(PUBLIC_URL=url)).public_url == url


def test_limits_are_on_and_as_the_readme_says() -> None:
    limits = load({}).limits
    assert limits == Limits()
    assert limits.on
    assert (limits.sign_in, limits.longest_wait) == (Rate(10, 900), 3600)
    assert limits.messages == (Rate(1, 60), Rate(5, 3600))


def test_every_limit_is_a_setting() -> None:
    told = {
        "LIMIT_SIGN_IN": "1/1m",
        "LIMIT_SIGN_IN_LONGEST_WAIT": "60",
        "LIMIT_SIGN_IN_ACCOUNT": "2/2M",
        "LIMIT_SIGN_IN_NETWORK": "3/3m",
        "LIMIT_MESSAGES": "4/30s, 5/2h",
        "LIMIT_MESSAGES_NETWORK": "6/6m",
        "LIMIT_SIGN_UP_NETWORK": "7/7m",
        "LIMIT_REFRESH": "8/8m",
        "RATE_LIMITS": "OFF",
    }
    assert load(given(**told)).limits == Limits(
        on=False,
        sign_in=Rate(1, 60),
        longest_wait=60,
        sign_in_account=Rate(2, 120),
        sign_in_network=Rate(3, 180),
        messages=(Rate(4, 30), Rate(5, 7200)),
        messages_network=Rate(6, 360),
        sign_up_network=Rate(7, 420),
        refresh=Rate(8, 480),
    )


def test_limits_are_never_off_where_others_could_reach_them() -> None:
    told = line(given(STORE="dynamodb", TABLE_NAME="passerine", RATE_LIMITS="off"))
    assert "RATE_LIMITS=off" in told


WRONG = [
    ("RATE_LIMITS", "mysecret"),
    ("LIMIT_SIGN_IN", "mysecret"),
    ("LIMIT_SIGN_IN", "10"),
    ("LIMIT_SIGN_IN", "0/1m"),
    ("LIMIT_SIGN_IN", "10/0m"),
    ("LIMIT_SIGN_IN", "-1/1m"),
    ("LIMIT_SIGN_IN", "10/25h"),
    ("LIMIT_SIGN_IN", "10001/1h"),
    ("LIMIT_SIGN_IN", "１０/1m"),
    ("LIMIT_SIGN_IN_LONGEST_WAIT", "59"),
    ("LIMIT_SIGN_IN_LONGEST_WAIT", "86401"),
    ("LIMIT_MESSAGES", "1/1m,"),
    ("LIMIT_MESSAGES", "1/1m;mysecret"),
    ("STORE", "mysecretstore"),
    ("EMAIL", "mysecretpigeon"),
    ("LOG_LEVEL", "mysecretlevel"),
    ("LOG_FORMAT", "mysecretformat"),
    ("ADMIN_API_KEY", "mysecret"),
    ("ADMIN_API_KEY", "mysecret" * 33),
    ("ADMIN_API_KEY", "mysecret with a space in it"),
    ("ADMIN_API_KEY", "mysecretschlüssel-mit-ümlaut"),
    ("ADMIN_API_KEY", "mysecret-that-ends-in-newline\n"),
    ("PUBLIC_URL", "mysecret.example"),
    ("PUBLIC_URL", "http://mysecret.example"),
    ("PUBLIC_URL", "https://"),
    ("PUBLIC_URL", "https://mysecret.example/path"),
    ("PUBLIC_URL", "https://mysecret.example?query"),
    ("PUBLIC_URL", "https://mysecret.example#fragment"),
    ("PUBLIC_URL", "https://user:mysecret@a.example"),
    ("PUBLIC_URL", "https://mysecret.example:port"),
    ("PUBLIC_URL", "https://mysecret.example:99999"),
    ("PUBLIC_URL", "https://mysecret.example:0"),
    ("PUBLIC_URL", "https://mysecret.example:"),
    ("PUBLIC_URL", "https://my secret.example"),
    ("PUBLIC_URL", "https://mysecret_!.example"),
    ("PUBLIC_URL", "https://[::1"),
    ("PUBLIC_URL", "ftp://mysecret.example"),
    ("PUBLIC_URL", "javascript:mysecret"),
    ("TRUSTED_PROXIES", "mysecret"),
    ("TRUSTED_PROXIES", "10.0.0.0/8, mysecret"),
    ("TRUSTED_PROXIES", "10.0.0.0/33"),
    ("TRUSTED_PROXIES", "10.0.0.1/8"),
    ("TRUSTED_PROXIES", "*"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_one_line_that_names_the_variable_and_hides_the_value(
    name: str, value: str
) -> None:
    said = line(given(**{name: value}))
    assert said.startswith(f"{PREFIX}{name}: ")
    assert "\n" not in said
    assert "mysecret" not in said
    assert said.endswith(".")


def test_a_mail_server_is_needed_to_send_mail() -> None:
    assert "PASSERINE_SMTP_URL" in line(given(EMAIL="smtp"))


@pytest.mark.parametrize(
    "url", ["mysecret", "http://mysecret", "smtp://user:mysecret@mail.example.com:x", "smtp://"]
)
def test_a_wrong_mail_server_stops_the_start_with_one_line(tmp_path: Path, url: str) -> None:
    settings = load(given(DATA_DIR=str(tmp_path), EMAIL="smtp", SMTP_URL=url))
    with pytest.raises(CannotStart) as caught:
        build(settings)
    said = str(caught.value)
    assert "PASSERINE_SMTP_URL" in said
    assert "mysecret" not in said
    assert "\n" not in said


def test_a_data_folder_that_cannot_be_one_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("not a folder")
    for path in (file, file / "below"):
        with pytest.raises(CannotStart, match="PASSERINE_DATA_DIR"):
            build(Settings(data_dir=path))


def test_a_key_file_of_another_database_stops_the_start(tmp_path: Path) -> None:
    build(Settings(data_dir=tmp_path)).close()
    (tmp_path / "local.key").unlink()
    with pytest.raises(CannotStart, match="key file"):
        build(Settings(data_dir=tmp_path))


@pytest.mark.parametrize("text", ["", "x", "A" * 42, "A" * 44, "*" * 43])
def test_a_key_file_without_a_key_stops_the_start(tmp_path: Path, text: str) -> None:
    (tmp_path / "local.key").write_text(text)
    (tmp_path / "local.key").chmod(0o600)
    with pytest.raises(CannotStart, match="key file"):
        build(Settings(data_dir=tmp_path))


@pytest.mark.parametrize("name", ["local.key", "admin-api-key"])
def test_a_secret_that_others_may_read_stops_the_start(tmp_path: Path, name: str) -> None:
    build(Settings(data_dir=tmp_path)).close()
    (tmp_path / name).chmod(0o640)
    with pytest.raises(CannotStart, match="chmod 600"):
        build(Settings(data_dir=tmp_path))


def test_what_lies_in_the_data_folder_is_its_owners_alone(tmp_path: Path) -> None:
    services = build(Settings(data_dir=tmp_path / "data"))
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    for file in (tmp_path / "data").iterdir():
        assert file.stat().st_mode & 0o077 == 0, file.name
    services.close()


def test_secrets_do_not_show_in_the_settings() -> None:
    settings = Settings(admin_api_key="k" * 24, email="smtp", smtp_url="smtp://u:pass@127.0.0.1")
    assert "kkk" not in repr(settings)
    assert "pass" not in repr(settings).replace("passerine", "")


def test_settings_do_not_change() -> None:
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        setattr(settings, "store", "sqlite")  # noqa: B010 - the type checker forbids the plain form


ON_LAMBDA = {
    "STORE": "dynamodb",
    "TABLE_NAME": "passerine",
    "PUBLIC_URL": "https://auth.example.com",
    "KMS_KEY_ID": "arn:aws:kms:us-east-1:123456789012:key/0",
    "ADMIN_API_KEY_SECRET": "passerine/admin",
    "EMAIL": "ses",
    "EMAIL_FROM": "no-reply@example.com",
}


def test_what_a_function_needs_is_enough() -> None:
    load(given(**ON_LAMBDA)).check_for_lambda()
    known = {**ON_LAMBDA, "ADMIN_API_KEY": "k" * 24}
    del known["ADMIN_API_KEY_SECRET"]
    load(given(**known)).check_for_lambda()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"STORE": "sqlite"}, "PASSERINE_STORE"),
        ({"PUBLIC_URL": ""}, "PASSERINE_PUBLIC_URL"),
        ({"KMS_KEY_ID": ""}, "PASSERINE_KMS_KEY_ID"),
        ({"ADMIN_API_KEY_SECRET": ""}, "PASSERINE_ADMIN_API_KEY_SECRET"),
        ({"EMAIL": "mailbox"}, "PASSERINE_EMAIL"),
    ],
)
def test_a_function_does_not_start_without_it(change: dict[str, str], named: str) -> None:
    settings = load(given(**{**ON_LAMBDA, **change}))
    with pytest.raises(CannotStart, match=named) as caught:
        settings.check_for_lambda()
    assert str(caught.value).count("PASSERINE_") == 1


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"STORE": "dynamodb"}, "PASSERINE_TABLE_NAME"),
        ({"STORE": "dynamodb", "TABLE_NAME": "a b"}, "PASSERINE_TABLE_NAME"),
        ({"EMAIL": "ses"}, "PASSERINE_EMAIL_FROM"),
        ({"EVENTS_TOPIC_ARN": "events"}, "PASSERINE_EVENTS_TOPIC_ARN"),
    ],
)
def test_a_setting_of_aws_that_is_wrong_or_missing_is_named(
    values: dict[str, str], named: str
) -> None:
    assert named in line(given(**values))


def test_a_table_that_does_not_answer_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    settings = Settings(store="dynamodb", table_name="passerine", data_dir=tmp_path)
    with pytest.raises(CannotStart, match="does not answer"):
        build(settings)


@pytest.mark.parametrize("name", ["KMS_KEY_ID", "ADMIN_API_KEY_SECRET"])
def test_a_read_that_may_ask_aws_is_not_done_on_the_spot(tmp_path: Path, name: str) -> None:
    here = {f"{PREFIX}DATA_DIR": str(tmp_path)}
    for told, quick in ((here, True), ({**here, f"{PREFIX}{name}": "there"}, False)):
        services = build(load(told), probe=False)
        services.close()
        assert services.quick_reads is quick
