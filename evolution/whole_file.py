"""A file that somebody asked for appears once it is whole; until then, and for ever if it fails, the old one stays.

Used by exports, and by the commands that write graphs, reports and policies.
"""

import glob
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LEFT_AFTER_S = 60.0
"""Whoever still writes does so every few seconds; its process number alone may be that of another machine."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Write to the path that this gives. A link keeps pointing where it did; a device or a pipe is never replaced.

    What killed processes had begun of the same file is removed. Raises OSError.
    """
    if path.exists() and not path.is_file():
        yield path
        return
    target = path.resolve()
    _clear(target)
    # The suffix stays, for whoever writes by it.
    partial = target.with_name(f".{os.getpid()}.partial.{target.name}")
    try:
        yield partial
        partial.replace(target)
    finally:
        with suppress(OSError):  # a file system that takes nothing has none to give back
            partial.unlink(missing_ok=True)


def _clear(target: Path) -> None:
    for left in target.parent.glob(f".*.partial.{glob.escape(target.name)}"):
        with suppress(OSError, ValueError):  # gone meanwhile, somebody else's, or not of ours at all
            process_id = int(left.name.split(".")[1])
            if time.time() - left.stat().st_mtime > LEFT_AFTER_S and not _runs(process_id):
                left.unlink()


def _runs(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except (OverflowError, PermissionError):
        return True
    return True
