"""The bounded folder that processes share their mapped tensors in: who is in it, who must go. Called by `mapped_files`.

The folder is the state: each process learns from it what others added and removed, under a lock that the kernel lets go
of when its holder dies. Evicting a file that is mapped somewhere is safe: the mapping keeps its pages.
"""

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from schemas.base import is_token, new_id
from tensor_layer.errors import BlobStoreUnavailable, TensorRefused
from tensor_layer.stream.s3fifo import S3Fifo

_SUFFIX, _UNFINISHED = ".tensor", ".unfinished"


class SharedFolder:
    """At most ``capacity_bytes`` of files; which goes first is S3-FIFO's choice. Blocking; safe in threads."""

    def __init__(self, folder: Path, capacity_bytes: int) -> None:
        self._folder = folder
        self._policy = S3Fifo(capacity_bytes)
        self._seen_ns: dict[str, int] = {}
        self._thread = threading.RLock()
        folder.mkdir(parents=True, exist_ok=True)
        with self._alone():
            self._reconcile()

    @property
    def capacity_bytes(self) -> int:
        """The most bytes that all files may have."""
        return self._policy.capacity_bytes

    def path(self, tensor_id: str) -> Path:
        """Where a tensor's file is when it is there. Raises TensorRefused for what is no id."""
        if not is_token(tensor_id):  # ids arrive over the bus: never let one name another folder
            raise TensorRefused(f"{tensor_id[:80]!r} is no tensor id")
        return self._folder / f"{tensor_id}{_SUFFIX}"

    def used(self, tensor_id: str) -> None:
        """Note a use, and let other processes see it."""
        path = self.path(tensor_id)
        with self._thread, contextlib.suppress(FileNotFoundError):
            os.utime(path)
            self._seen_ns[tensor_id] = path.stat().st_mtime_ns
            self._policy.use(tensor_id)

    def drop(self, tensor_id: str) -> None:
        """Remove a file. Whoever has mapped it keeps it."""
        self.path(tensor_id).unlink(missing_ok=True)

    def reserve(self, size_bytes: int) -> tuple[Path, int]:
        """An unfinished file of full size and its locked descriptor: from now on everyone counts its room as taken.

        Raises TensorRefused when it can never fit, BlobStoreUnavailable when the disk has no room.
        """
        if size_bytes > self.capacity_bytes:
            raise TensorRefused(f"{size_bytes} bytes do not fit the {self.capacity_bytes} bytes of the tensor folder")
        path = self._folder / f"{new_id()}{_UNFINISHED}"
        with self._alone():
            taken = self._reconcile()
            self._forget(self._policy.make_room(size_bytes + taken, self._used_elsewhere))
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                # A full disk says so now, not as SIGBUS later; and filling what is allocated costs a fifth less.
                os.posix_fallocate(descriptor, 0, size_bytes)
            except OSError as error:
                os.close(descriptor)
                path.unlink()
                raise BlobStoreUnavailable(f"no room for {size_bytes} bytes of tensor: {error.strerror}") from error
        return path, descriptor

    def adopt(self, unfinished: Path, tensor_id: str) -> None:
        """Turn a written file into the stored tensor: it appears whole, by rename."""
        with self._alone():
            unfinished.replace(self.path(tensor_id))
            self._reconcile()

    def stat(self) -> dict[str, int]:
        """How many files, their bytes, and the most there may be."""
        with self._alone():
            self._reconcile()
            used, kept = self._policy.used_bytes, len(self._policy)
        return {"files": kept, "used_bytes": used, "capacity_bytes": self.capacity_bytes}

    def ids(self) -> list[str]:
        """The ids of all tensors here."""
        return sorted(path.name.removesuffix(_SUFFIX) for path in self._folder.glob(f"*{_SUFFIX}"))

    def _reconcile(self) -> int:
        """Learn what other processes added and removed; the bytes of unfinished files. Called with the lock held."""
        present: dict[str, os.DirEntry[str]] = {}
        unfinished = 0
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.endswith(_SUFFIX):
                    present[entry.name.removesuffix(_SUFFIX)] = entry
                elif entry.name.endswith(_UNFINISHED):
                    unfinished += _unfinished_bytes(Path(entry.path))
        for gone in [key for key in self._policy if key not in present]:
            self._policy.remove(gone)
            self._seen_ns.pop(gone, None)
        new: list[tuple[os.stat_result, str]] = []
        for key in [key for key in present if key not in self._policy]:
            with contextlib.suppress(FileNotFoundError):  # dropped since: nobody waits for the lock to do that
                new.append((present[key].stat(), key))
        for status, key in sorted(new, key=lambda item: item[0].st_mtime_ns):
            self._seen_ns[key] = status.st_mtime_ns
            self._forget(self._policy.admit(key, status.st_size, self._used_elsewhere) or ())
        return unfinished

    def _forget(self, evicted: Iterable[str]) -> None:
        for tensor_id in evicted:
            self.drop(tensor_id)
            self._seen_ns.pop(tensor_id, None)

    def _used_elsewhere(self, tensor_id: str) -> bool:
        try:
            touched_ns = self.path(tensor_id).stat().st_mtime_ns
        except FileNotFoundError:
            return False
        return touched_ns > self._seen_ns.get(tensor_id, touched_ns)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep out other threads and processes."""
        with self._thread, (self._folder / ".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _unfinished_bytes(path: Path) -> int:
    """What a file being written takes; one whose writer died (its lock is free) is removed."""
    try:
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return os.fstat(file.fileno()).st_size
            path.unlink(missing_ok=True)
    except FileNotFoundError:
        pass
    return 0
