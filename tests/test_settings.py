"""Settings: flags over variables over defaults, and an error that names the remedy for anything unknown."""

import os
import re
from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from errors import StartError
from setting_names import variable
from setting_values import LISTS
from settings import Settings, load_settings


@pytest.fixture(autouse=True)
def clean_environment() -> Iterator[None]:
    """No variable is set; `load_settings` replaces former names, which is undone."""
    before = dict(os.environ)
    for name in Settings.model_fields:
        os.environ.pop(variable(name), None)
    yield
    os.environ.clear()
    os.environ.update(before)


def test_defaults_serve_on_loopback() -> None:
    settings = load_settings()
    assert (settings.host, settings.port, settings.model) == ("127.0.0.1", 8000, "auto")


def test_a_flag_outranks_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIGGS_PORT", "9001")
    monkeypatch.setenv("HIGGS_MODEL", "/models/mine")
    settings = load_settings(["--port", "9002"])
    assert (settings.port, settings.model) == (9002, "/models/mine")


def test_an_empty_variable_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIGGS_CODEC", "")
    assert load_settings().codec is None


@pytest.mark.parametrize("value", [",", " ", " , ,"])
@pytest.mark.parametrize("name", LISTS)
def test_a_list_without_items_stops_the_start(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kind: HIGGS_API_KEYS="$A,$B" with both unset opened the server to everybody."""
    monkeypatch.setenv(variable(name), value)
    with pytest.raises(StartError, match=rf"{variable(name)} .*no items"):
        load_settings()


@pytest.mark.parametrize("value", ["*", "10.0.0.1", "10.0.0.0/8, ::1"])
def test_proxies_are_addresses_or_any(value: str) -> None:
    assert load_settings(["--trusted-proxies", value]).trusted_proxies == value


def test_a_secret_of_a_bad_value_is_not_shown() -> None:
    with pytest.raises(StartError, match="HIGGS_REDIS_URL") as refused:
        load_settings(["--redis-url", "http://:hunter2@localhost"])
    assert "hunter2" not in str(refused.value)


def test_an_unknown_variable_stops_the_start_and_lists_the_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIGGS_PROT", "9001")
    with pytest.raises(StartError, match=r"HIGGS_PROT\. Did you mean HIGGS_PORT\?.*HIGGS_HOST, HIGGS_PORT"):
        load_settings()


def test_an_unknown_flag_stops_the_start_and_lists_the_names() -> None:
    with pytest.raises(StartError, match=r"--prot.*Valid flags: --host, --port"):
        load_settings(["--prot", "9001"])


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        *(("--port", "eighty"), ("--port", "70000"), ("--dtype", "int4"), ("--threads", "0")),
        *(("--rate-limit", "often"), ("--cors-origins", "example.org")),
        ("--cors-origins", "https://example.org/page"),
        *(("--rate-limit", "0/minute"), ("--rate-limit", "60/minute; 0/day")),
        *(("--trusted-proxies", "nginx"), ("--trusted-proxies", "10.0.0.1/8")),
        *(("--trusted-proxies", "10.0.0.1, *"), ("--voice-aliases", "alloy")),
    ],
)
def test_a_bad_value_names_the_setting(flag: str, value: str) -> None:
    with pytest.raises(StartError, match=rf"\(or {flag}\).*got '{re.escape(value)}'"):
        load_settings([flag, value])


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_settings().port = 1


def test_every_setting_is_documented() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_what_kubernetes_sets_for_a_service_of_this_name_is_none_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A kind of fault: names in the environment that others choose."""
    service = {"PORT": "tcp://10.0.0.1:80", "SERVICE_HOST": "10.0.0.1", "SERVICE_PORT": "80"}
    service |= {"SERVICE_PORT_HTTP": "80", "PORT_80_TCP": "tcp://10.0.0.1:80", "PORT_80_TCP_PROTO": "tcp"}
    service |= {"PORT_80_TCP_PORT": "80", "PORT_80_TCP_ADDR": "10.0.0.1", "VOICE_SERVICE_HOST": "10.0.0.2"}
    service |= {"VOICE_PORT": "tcp://10.0.0.2:80", "MODEL_PORT_80_TCP": "tcp://10.0.0.2:80"}
    for name, value in service.items():
        monkeypatch.setenv(f"HIGGS_{name}", value)
    assert load_settings().port == 8000
    assert load_settings(["--port", "9002"]).port == 9002


def test_former_names_keep_working_with_one_line_of_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HIGGS_MOST_TAKES", "5")
    settings = load_settings(["--columns-per-byte=2.5"])
    assert (settings.max_attempts, settings.max_frames_per_byte) == (5, 2.5)
    assert [record.getMessage() for record in caplog.records] == [
        "HIGGS_MOST_TAKES is deprecated: use HIGGS_MAX_ATTEMPTS",
        "--columns-per-byte is deprecated: use --max-frames-per-byte",
    ]


def test_a_present_name_outranks_its_former_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIGGS_MOST_TAKES", "5")
    monkeypatch.setenv("HIGGS_MAX_ATTEMPTS", "2")
    assert load_settings().max_attempts == 2


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("0", 0),
        ("-1", 0),
        ("-1m", 0),
        ("90", 90),
        ("1.5", 1.5),
        ("10m", 600),
        ("1h30m", 5400),
        ("500ms", 0.5),
    ],
)
def test_durations_are_written_as_for_ollama(said: str, seconds: float) -> None:
    assert Settings(keep_alive=said).keep_alive_seconds == pytest.approx(seconds)


@pytest.mark.parametrize("said", ["soon", "10 minutes", "1m30", "--1", "nan"])
def test_what_is_no_duration_stops_the_start(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIGGS_KEEP_ALIVE", said)
    with pytest.raises(StartError, match="HIGGS_KEEP_ALIVE"):
        load_settings()
