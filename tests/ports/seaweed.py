"""A real S3 server for tests: SeaweedFS, one process on free ports, killed by its own process id."""

import json
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

ACCESS_KEY = "test-key"
SECRET_KEY = "test-secret"


class Seaweed:
    """``weed server -s3`` over one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = dict(zip(("master", "volume", "filer", "s3"), _free_ports(4), strict=True))
        self._grpc = dict(zip(("master", "volume", "filer", "s3"), _free_ports(4), strict=True))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def options(self) -> dict[str, str]:
        """What an S3 client needs to talk to it."""
        return {
            "endpoint": f"http://127.0.0.1:{self._ports['s3']}",
            "access_key_id": ACCESS_KEY,
            "secret_access_key": SECRET_KEY,
            "region": "us-east-1",
        }

    def start(self, timeout_s: float = 60.0) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "data").mkdir()
        (self._folder / "s3.json").write_text(json.dumps({"identities": [_identity()]}))
        (self._folder / "filer.toml").write_text(f'[leveldb2]\nenabled = true\ndir = "{self._folder}/filer"\n')
        with (self._folder / "weed.log").open("wb") as log:
            self._process = subprocess.Popen(self._command(), stdout=log, stderr=log, cwd=self._folder)
        deadline = time.monotonic() + timeout_s
        while not _answers(self._ports["s3"]) or not self._says_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"weed does not start: {(self._folder / 'weed.log').read_text()[-3000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def _says_ready(self) -> bool:
        return "Start Seaweed S3 API Server" in (self._folder / "weed.log").read_text(errors="replace")

    def _command(self) -> list[str]:
        binary = Path(sys.executable).with_name("weed")
        command = [str(binary) if binary.exists() else (shutil.which("weed") or "weed"), "-logtostderr", "server"]
        command += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={self._folder / 'data'}", "-s3", "-filer"]
        command += [f"-s3.config={self._folder / 's3.json'}", "-volume.max=40", "-master.volumeSizeLimitMB=64"]
        command += ["-volume.minFreeSpace=0", "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false"]
        command += [f"-{name}.port={port}" for name, port in self._ports.items()]
        return command + [f"-{name}.port.grpc={port}" for name, port in self._grpc.items()]


def _identity() -> dict[str, object]:
    keys = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
    return {"name": "tests", "credentials": keys, "actions": ["Admin", "Read", "Write", "List", "Tagging"]}


def _free_ports(count: int) -> list[int]:
    """Distinct ports: all are held until the last is known."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
