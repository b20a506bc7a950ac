"""Settings are read once; every value knows where it came from, and every mistake is named with its cure."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.errors import SettingsInvalid
from gateway.settings import Settings, load
from gateway.settings.listing import HIDDEN, rows
from gateway.settings.loading import fields, variables


def write(folder: Path, text: str) -> dict[str, str]:
    file = folder / "aos.toml"
    file.write_text(text)
    return {"AOS_CONFIG": str(file)}


def test_without_anything_there_are_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    loaded = load({})
    assert loaded.settings == Settings()
    assert {row.source for row in rows(loaded)} == {"default"}


def test_a_file_in_the_working_folder_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(tmp_path, "[http]\nport = 9000\n")
    monkeypatch.chdir(tmp_path)
    assert load({}).settings.http.port == 9000


def test_the_environment_beats_the_file_and_options_beat_both(tmp_path: Path):
    environ = write(tmp_path, '[http]\nport = 1\nhost = "h"\n[bus]\nreplicas = 3\n')
    environ |= {"AOS_HTTP_PORT": "2", "AOS_LOG_LEVEL": "debug"}
    loaded = load(environ, {"http.port": 3, "tenant": None})
    assert (loaded.settings.http.port, loaded.settings.http.host, loaded.settings.bus.replicas) == (3, "h", 3)
    assert loaded.source(("http", "port")) == "command line"
    assert loaded.source(("bus", "replicas")).endswith("aos.toml: bus.replicas")
    assert loaded.source(("log_level",)) == "AOS_LOG_LEVEL"
    assert loaded.source(("tenant",)) == "default"


@pytest.mark.parametrize("variable", ["AOS_NATS_URL", "AOS_BUS__URL"])
def test_a_field_has_a_systematic_variable_and_may_have_a_plain_one(variable: str):
    loaded = load({variable: "nats://a:1,nats://b:2"})
    assert loaded.settings.bus.url == loaded.settings.nats_url == "nats://a:1,nats://b:2"
    assert loaded.source(("bus", "url")) == variable


def test_commands_look_where_the_same_settings_would_start_a_stack():
    ports = {"AOS_HTTP_PORT": "18080", "AOS_BUS__EMBEDDED_PORT": "14222"}
    settings = load(ports | {"AOS_HTTP_HOST": "0.0.0.0"}).settings
    assert (settings.gateway_url, settings.nats_url) == ("http://127.0.0.1:18080", "nats://127.0.0.1:14222")
    chosen = load(ports | {"AOS_URL": "https://far.example", "AOS_NATS_URL": "tls://bus:1"}).settings
    assert (chosen.gateway_url, chosen.nats_url) == ("https://far.example", "tls://bus:1")
    unknown = load({"AOS_HTTP_PORT": "0", "AOS_BUS__EMBEDDED_PORT": "0"}).settings
    assert (unknown.gateway_url, unknown.nats_url) == ("http://127.0.0.1:8080", "nats://127.0.0.1:4222")


def test_paths_in_a_file_are_relative_to_the_file(tmp_path: Path):
    loaded = load(write(tmp_path, 'data_dir = "data"\n[agents]\ncards_dir = "cards"\n'))
    assert loaded.settings.data_dir == tmp_path / "data"
    assert loaded.settings.agents.cards_dir == tmp_path / "cards"


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"AOS_HTTP_PORT": "eighty"}, ["AOS_HTTP_PORT", '"eighty"', "integer", "TCP port"]),
        ({"AOS_HTTP__PROT": "80"}, ["AOS_HTTP__PROT", "no such setting", "AOS_HTTP__PORT"]),
        ({"AOS_URL": "localhost:8080"}, ["AOS_URL", '"localhost:8080"', "with its scheme", "http://"]),
        ({"AOS_NATS_URL": "localhost"}, ["AOS_NATS_URL", '"localhost"', "nats"]),
        ({"AOS_BUS__EMBEDDED_SYNC": "never"}, ["AOS_BUS__EMBEDDED_SYNC", "'always'"]),
        ({"AOS_TENANT": "a.b"}, ["AOS_TENANT", '"a.b"']),
        ({"AOS_CONFIG": "/no/such.toml"}, ["/no/such.toml", "no such file"]),
    ],
)
def test_a_wrong_variable_is_named_with_its_value_and_what_was_expected(environ: dict[str, str], words: list[str]):
    with pytest.raises(SettingsInvalid) as refused:
        load(environ)
    assert [word for word in words if word not in str(refused.value)] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[http]\nport = 1.5\n", ["aos.toml: http.port", "1.5", "integer"]),
        ("[http]\nprot = 80\n", ["aos.toml: http.prot", "no such setting", "http.port"]),
        ("colour = 1\n", ["aos.toml: colour", "no such setting"]),
        ("http = 8080\n", ["aos.toml: http", "8080"]),
        ("[http\n", ["aos.toml", "TOML"]),
    ],
)
def test_a_wrong_file_is_named_with_the_key_and_what_was_expected(tmp_path: Path, text: str, words: list[str]):
    with pytest.raises(SettingsInvalid) as refused:
        load(write(tmp_path, text))
    assert [word for word in words if word not in str(refused.value)] == []


def test_a_wrong_secret_is_not_repeated(tmp_path: Path):
    with pytest.raises(SettingsInvalid) as refused:
        load(write(tmp_path, "[influx]\ntoken = 123456789\n"))
    assert "123456789" not in str(refused.value)


def test_secrets_are_never_shown():
    loaded = load({"AOS_S3_SECRET_ACCESS_KEY": "open-sesame"})
    shown = {row.name: row.value for row in rows(loaded)}
    assert shown["s3.secret_access_key"] == HIDDEN
    assert "open-sesame" not in repr(loaded)


def test_every_setting_is_described_and_no_two_share_a_variable():
    listed = rows(load({}))
    assert [row.name for row in listed if not row.description] == []
    named = [variable for where, info in fields() for variable in variables(where, info)]
    assert len(named) == len(set(named))


def test_settings_are_immutable():
    with pytest.raises(ValidationError):
        Settings().http.port = 1  # type: ignore[misc]


@given(st.dictionaries(st.sampled_from([v for w, i in fields() for v in variables(w, i)]), st.text(max_size=20)))
def test_any_value_is_taken_or_refused(environ: dict[str, str]):
    with contextlib.suppress(SettingsInvalid):
        assert rows(load(environ))
