"""A local folder as object store: names that outlast a power cut, and old uploads swept. Used by ``blobs``."""

import os
from contextlib import suppress
from pathlib import Path


def rename_durably(upload: Path, blob: Path) -> None:
    """The bytes reach the disk before the name does, and the name before anybody is told."""
    if not blob.parent.exists():
        blob.parent.mkdir(parents=True, exist_ok=True)
        _sync(blob.parent.parent)
    _sync(upload)
    upload.replace(blob)
    _sync(blob.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep_folder(uploads: Path, before: float) -> int:
    """obstore hides its own half-written files (``name#1``), so a local folder is swept by itself."""
    removed = 0
    for path in uploads.glob("*"):
        with suppress(FileNotFoundError):  # renamed or removed by another process just now
            if path.stat().st_mtime < before:
                path.unlink()
                removed += 1
    return removed
