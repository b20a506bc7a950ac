"""A local folder as object store: names that outlast a power cut, uses, and old uploads swept. Used by ``blobs``."""

import os
from contextlib import suppress
from pathlib import Path

from tensor_layer.storage.syncing import sync


def rename_durably(upload: Path, blob: Path) -> None:
    """The bytes reach the disk before the name does, and the name before anybody is told."""
    if not blob.parent.exists():
        blob.parent.mkdir(parents=True, exist_ok=True)
        sync(blob.parent.parent)
    sync(upload)
    upload.replace(blob)
    sync(blob.parent)


def sweep_folder(uploads: Path, before: float) -> int:
    """obstore hides its own half-written files (``name#1``), so a local folder is swept by itself."""
    removed = 0
    for path in uploads.glob("*"):
        with suppress(FileNotFoundError):  # renamed or removed by another process just now
            if path.stat().st_mtime < before:
                path.unlink()
                removed += 1
    return removed


def touch(blob: Path) -> bool:
    """The file's time is now; False when it is not there. One system call: no file is touched that is gone."""
    try:
        os.utime(blob)
    except FileNotFoundError:
        return False
    return True
