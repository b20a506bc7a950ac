"""A file that somebody asked for appears once it is whole; until then, and for ever if it fails, the old one stays.

Used by exports, and by the commands that write graphs, reports and policies.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Write to the path that this gives. A link keeps pointing where it did; a device or a pipe is never replaced.

    Raises OSError.
    """
    if path.exists() and not path.is_file():
        yield path
        return
    target = path.resolve()
    # The suffix stays, for whoever writes by it.
    partial = target.with_name(f".{os.getpid()}.partial.{target.name}")
    try:
        yield partial
        partial.replace(target)
    finally:
        with suppress(OSError):  # a file system that takes nothing has none to give back
            partial.unlink(missing_ok=True)
