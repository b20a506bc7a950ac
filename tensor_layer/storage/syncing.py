"""Waits until a file, or a folder's names, are on the disk. Used wherever something must outlast a power cut."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """For a folder: the names in it. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
