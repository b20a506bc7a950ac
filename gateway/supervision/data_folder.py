"""One deployment at a time in one data folder: two would share a bus's files and ruin them. Used by the deployment."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.errors import ServerDidNotStart

LOCK_NAME = "up.lock"


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Hold the folder; the kernel lets go when this process ends, however it ends. Raises ServerDidNotStart."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise ServerDidNotStart(f"the data folder {folder} cannot be used: {error.strerror}") from error
    try:
        _lock(descriptor, folder)
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(descriptor, 32, 0).decode(errors="replace") or "unknown"
        raise ServerDidNotStart(
            f"the data folder {folder} is in use by process {owner}. Stop that one, or choose another with --data."
        ) from None
