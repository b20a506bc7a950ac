"""Two stacks on one machine: commands say which bus they changed, and do not change the one that is not meant."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from evolution.policies.bucket import PolicyBucket
from evolution.store.sqlite_store import SqliteExperienceStore
from gateway.bus.connection import connect
from gateway.bus.ensuring import ensure
from gateway.bus.identity import identity_of
from gateway.bus.streams import Quotas
from gateway.embedded.nats_server import NatsServer, free_port
from gateway.experience_origin import note_bus
from gateway.settings import Settings
from schemas.policy import PolicySnapshot, dumps
from tests.integration.http_door import open_app, served
from tests.integration.typed_commands import exit_code_of
from tests.unit.evolution.experience_records import a_record

Aos = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
def aos(tmp_path: Path, monkeypatch, capsys) -> Aos:
    """Runs a command in this process, in a folder without settings and with these variables only."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AOS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("AOS_HTTP_PORT", str(free_port()))  # nobody listens where commands look by themselves

    async def command(*arguments: str, **variables: str) -> tuple[int, str, str]:
        with monkeypatch.context() as patch:
            for name in ("AOS_URL", "AOS_NATS_URL", "AOS_TENANT"):
                patch.delenv(name, raising=False)
            for name, value in variables.items():
                patch.setenv(name, value)
            capsys.readouterr()
            code = await asyncio.to_thread(exit_code_of, arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


@pytest.fixture
async def first(js, nc, tmp_path: Path) -> AsyncIterator[str]:
    """The URL of a gateway on the bus ``nats_server``."""
    (tmp_path / "first").mkdir()
    async with served(await open_app(nc, js, tmp_path / "first")) as client:
        yield str(client.base_url)


@pytest.fixture
async def second(tmp_path: Path) -> AsyncIterator[tuple[str, str, PolicyBucket]]:
    """Another stack: the URLs of its gateway and its bus, and its policies."""
    server = NatsServer(tmp_path / "second-nats", sync_interval="2m")
    await server.start()
    client = await connect(server.url, "test")
    other = client.jetstream(timeout=10)
    await ensure(other, Quotas().scaled(0.05), client.max_payload)
    (tmp_path / "second").mkdir()
    async with served(await open_app(client, other, tmp_path / "second")) as door:
        yield str(door.base_url), server.url, PolicyBucket(other)
    await client.close()
    await server.stop()


async def test_a_change_says_on_which_bus_it_was_made_and_scripts_read_what_they_always_did(aos, js, nats_server):
    code, out, err = await aos("policy", "explore", "0.02", AOS_NATS_URL=nats_server.url)
    assert (code, out) == (0, "exploring 2%: cosine-1 is in force\n")
    assert err == f"changed on the bus {nats_server.url}, tenant default\n"
    code, out, err = await aos("policy", "freeze", "--json", "--tenant", "t2", AOS_NATS_URL=nats_server.url)
    assert json.loads(out)["frozen"]
    assert err.endswith("tenant t2\n")
    code, _, err = await aos("policy", "promote", "nobody", "--json", AOS_NATS_URL=nats_server.url)
    assert (code, json.loads(err)["code"]) == (4, "policy_not_found")


async def test_with_the_gateway_of_one_stack_and_the_bus_of_another_nothing_is_changed(
    aos, first, js, nats_server, second
):
    url, bus, policies = second
    for bucket in (PolicyBucket(js), policies):
        await bucket.put("default", dumps(PolicySnapshot(policy="new", encoder="e", events=0, weights={"nearness": 1})))
    both = {"AOS_URL": url, "AOS_NATS_URL": nats_server.url}
    for change in (
        ("policy", "promote", "new"),
        ("policy", "rollback"),
        ("experiment", "start", "new"),
        ("rules", "remove", "x"),
        ("mine", "apply", "x"),
        ("policy", "prune"),
        ("task", "submit", "hello", "--bus"),
    ):
        code, out, err = await aos(*change, "--json", **both)
        problem = json.loads(err)
        assert (code, out, problem["code"]) == (1, "", "another_bus"), change
        assert url in problem["title"]
        assert nats_server.url in problem["title"]
        assert "AOS_NATS_URL" in problem["next_step"]
    assert await PolicyBucket(js).changes("default") == ()
    code, _, err = await aos("policy", "list", **both)
    assert code == 0
    assert err.startswith(f"! the gateway at {url} is on another bus")
    code, _, err = await aos("policy", "promote", "new", "--reviewed", AOS_URL=url, AOS_NATS_URL=bus)
    assert (code, err) == (0, f"changed on the bus {bus}, tenant default\n")
    assert [state.active for state in await policies.changes("default")] == ["new"]


async def test_a_gateway_of_the_same_bus_a_silent_one_and_none_at_all_do_not_stand_in_the_way(aos, first, nats_server):
    for url in (first, f"http://127.0.0.1:{free_port()}"):
        code, _, err = await aos("policy", "freeze", AOS_URL=url, AOS_NATS_URL=nats_server.url)
        assert (code, err) == (0, f"changed on the bus {nats_server.url}, tenant default\n")
    code, out, err = await aos("policy", "list", AOS_NATS_URL=nats_server.url)
    assert (code, err) == (0, "")
    assert out.endswith(f"on the bus {nats_server.url}, tenant default\n")


async def test_only_a_gateway_is_chosen_and_the_bus_that_commands_take_for_granted_is_another(
    aos, first, nats_server, second
):
    port = nats_server.url.rpartition(":")[2]
    code, _, err = await aos("policy", "freeze", AOS_URL=second[0], AOS_BUS__EMBEDDED_PORT=port)
    assert code == 1
    assert "nothing was changed" in err
    assert (await aos("policy", "freeze", AOS_URL=first, AOS_BUS__EMBEDDED_PORT=port))[0] == 0


async def test_what_is_measured_or_exported_says_whose_experience_it_was(aos, js, nats_server, tmp_path):
    store = SqliteExperienceStore(tmp_path / "data" / "experience" / "experience.db")
    await store.record([a_record()])
    await store.close()
    await PolicyBucket(js).put(
        "default", dumps(PolicySnapshot(policy="new", encoder="e", events=0, weights={"nearness": 1}))
    )
    code, out, _ = await aos("policy", "review", "new", AOS_NATS_URL=nats_server.url)
    assert code == 0
    assert f"measured on the experience in {tmp_path / 'data' / 'experience' / 'experience.db'}; on the bus " in out
    code, out, _ = await aos("experience", "export", "e.csv")
    assert (code, out) == (0, f"1 records of {tmp_path / 'data' / 'experience' / 'experience.db'} in e.csv\n")


async def test_the_doctor_says_whether_the_gateway_is_on_the_bus_that_is_set(aos, first, nats_server, second):
    async def gateway(**variables: str) -> dict[str, str]:
        _, out, _ = await aos("doctor", "--json", **variables)
        return next(finding for finding in json.loads(out) if finding["name"] == "gateway")

    same = await gateway(AOS_URL=first, AOS_NATS_URL=nats_server.url)
    assert (same["verdict"], same["found"]) == ("ok", f"{first}, on the bus {nats_server.url}")
    other = await gateway(AOS_URL=second[0], AOS_NATS_URL=nats_server.url)
    assert (other["verdict"], other["found"]) == ("warning", f"{second[0]} is on another bus than {nats_server.url}")
    assert "AOS_NATS_URL" in other["remedy"]
    nobody = f"nats://127.0.0.1:{free_port()}"
    assert (await gateway(AOS_URL=first, AOS_NATS_URL=nobody))[
        "found"
    ] == f"{first} answers, but no bus does at {nobody}"
    silent = await gateway(AOS_URL=f"http://127.0.0.1:{free_port()}", AOS_NATS_URL=nats_server.url)
    assert (silent["verdict"], silent["remedy"]) == ("missing", "start it, or correct AOS_URL")
    assert (await gateway(AOS_NATS_URL=nats_server.url))["verdict"] == "optional"


async def test_guards_do_not_measure_on_the_experience_of_another_bus(aos, js, nats_server, second, tmp_path):
    await PolicyBucket(js).put(
        "default", dumps(PolicySnapshot(policy="new", encoder="e", events=0, weights={"nearness": 1}))
    )
    here = {"AOS_NATS_URL": nats_server.url}
    settings = Settings(data_dir=tmp_path / "data")
    code, _, err = await aos("policy", "promote", "new", **here)
    assert code == 1
    assert f"no experience is kept in {settings.experience_file}" in err
    store = SqliteExperienceStore(settings.experience_file)
    await store.record([a_record()])
    await store.close()
    elsewhere = await connect(second[1], "test")
    note_bus(settings, await identity_of(elsewhere.jetstream(timeout=10)))
    await elsewhere.close()
    code, _, err = await aos("policy", "review", "new", **here)
    assert code == 0
    said = f"the experience in {settings.experience_file} was recorded from another bus than {nats_server.url}"
    assert err.startswith(f"! {said}; ")
    for change in (("policy", "promote", "new"), ("experiment", "stop", "--promote")):
        code, _, err = await aos(*change, "--json", **here)
        problem = json.loads(err)
        assert (code, problem["code"], problem["title"]) == (1, "another_experience", said)
    assert await PolicyBucket(js).changes("default") == ()
    assert (await aos("policy", "promote", "new", "--reviewed", **here))[0] == 0
    note_bus(settings, await identity_of(js))
    code, _, err = await aos("policy", "review", "new", **here)
    assert (code, err) == (0, "")


async def test_patterns_are_not_kept_on_another_bus_than_that_of_their_experience(
    aos, js, nats_server, second, tmp_path
):
    settings = Settings(data_dir=tmp_path / "data")
    store = SqliteExperienceStore(settings.experience_file)
    await store.record([a_record("t1")])
    await store.close()
    elsewhere = await connect(second[1], "test")
    note_bus(settings, await identity_of(elsewhere.jetstream(timeout=10)))
    await elsewhere.close()
    code, _, err = await aos("mine", "--json", AOS_NATS_URL=nats_server.url)
    assert (code, json.loads(err)["code"]) == (1, "another_experience")
    assert not settings.mining_dir.exists()
    assert (await aos("mine", "--dry-run", AOS_NATS_URL=nats_server.url))[0] == 0
    for command in (("timeline", "t1"), ("evaluate", "--window", "2000-01-01", "--policy", "active")):
        assert "was recorded from another bus" in (await aos("replay", *command, AOS_NATS_URL=nats_server.url))[2]
    note_bus(settings, await identity_of(js))
    assert (await aos("mine", AOS_NATS_URL=nats_server.url))[0] == 0
    assert "another bus" not in (await aos("replay", "timeline", "t1", AOS_NATS_URL=nats_server.url))[2]


async def test_no_bus_is_said_without_its_password_and_with_why(aos):
    address = f"127.0.0.1:{free_port()}"
    code, _, err = await aos("policy", "list", AOS_NATS_URL=f"nats://me:secret@{address}")
    assert code == 3
    assert f"no bus answers at nats://{address}: " in err
    assert "secret" not in err
