"""A policy snapshot on disk: there is always a whole one. Called by whoever learns and by workers that start."""

import os
import tempfile
from pathlib import Path

from schemas.policy import PolicySnapshot, PolicyUnreadable, dumps, loads


def save(snapshot: PolicySnapshot, path: Path) -> None:
    """Replace the file at once: a reader sees the old policy or the new one, after a power failure too. Blocks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(dumps(snapshot))
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def load(path: Path) -> PolicySnapshot:
    """Raises PolicyUnreadable (also for a file that is not there), PolicyTruncated, PolicyTooNew. Blocks."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PolicyUnreadable(f"the policy at {path} cannot be read: {error.strerror}") from error
    return loads(content)
