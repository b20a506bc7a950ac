"""One log file for each process, never larger than its bound. Written by the processes, rolled by the supervisor."""

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

TAIL_BYTES = 2000


def open_log(path: Path, headline: str) -> int:
    """A file descriptor that appends, after a line that says what starts here. The caller closes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    os.write(descriptor, f"--- {datetime.now(UTC):%Y-%m-%d %H:%M:%S}Z {headline}\n".encode())
    return descriptor


def roll(path: Path, limit_bytes: int) -> bool:
    """Move a log that passed the limit to ``<name>.1`` and empty it in place, for its writer keeps it open."""
    if not path.exists() or path.stat().st_size <= limit_bytes:
        return False
    shutil.copyfile(path, path.with_name(path.name + ".1"))
    os.truncate(path, 0)
    return True


def tail(path: Path) -> str:
    """The last lines, for an error message."""
    if not path.exists():
        return "(no log)"
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        return file.read().decode(errors="replace").strip()
