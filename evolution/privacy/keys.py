"""A tenant's keys and what is sealed by them. Used by ``guard``; the file is made by `aos experience rotate-keys`.

Sealing is Fernet (AES-128-CBC with HMAC-SHA256) of the package cryptography; with several keys the newest seals and
all of them open (MultiFernet). Every sealed text names no key: which one it was is found by trying.
"""

import fcntl
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from evolution.errors import KeysUnusable
from schemas.base import is_token
from tensor_layer.storage.syncing import sync

SEALED = "\x01sealed:"
"""How every sealed text begins. A text that somebody sends with such a beginning is sealed like any other."""
ANY_TENANT = "*"
UNREADABLE = "(sealed; its key is not in the key file)"


class KeyRing:
    """The keys of a file, `tenant key` a line, each tenant's newest first; ``*`` is for tenants without a line.

    The file is read again when it changes, so that a running recorder seals by a new key at once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._keys: Mapping[str, tuple[str, ...]] = {}
        self._fernets: dict[str, MultiFernet] = {}

    def seal(self, tenant: str, text: str) -> str:
        """The text under the tenant's newest key; the text itself when it has none. Raises KeysUnusable."""
        fernet = self._fernet(tenant)
        if fernet is None or not text:
            return text
        return SEALED + fernet.encrypt(text.encode()).decode()

    def open(self, tenant: str, text: str) -> str:
        """What was sealed; UNREADABLE when its key is gone. Raises KeysUnusable."""
        if not text.startswith(SEALED):
            return text
        fernet = self._fernet(tenant)
        if fernet is None:
            return UNREADABLE
        try:
            return fernet.decrypt(text.removeprefix(SEALED).encode()).decode()
        except InvalidToken:
            return UNREADABLE

    def renewed(self, tenant: str, text: str) -> str:
        """A text sealed by whichever key, or by none, under the newest. One that cannot be opened stays as it is."""
        opened = self.open(tenant, text)
        return text if opened == UNREADABLE else self.seal(tenant, opened)

    def add(self, tenant: str) -> None:
        """Put a fresh key before the tenant's others in the file. Raises KeysUnusable."""
        with self._changing():
            keys = dict(self._read()) if self._path.exists() else {}
            keys[tenant] = (Fernet.generate_key().decode(), *keys.get(tenant, keys.get(ANY_TENANT, ())))
            self._write(keys)

    def keep_newest(self, tenant: str) -> int:
        """Drop the tenant's older keys from the file; answers how many. What they sealed can never be read again."""
        with self._changing():
            keys = dict(self._read())
            dropped = len(keys.get(tenant, ())) - 1
            if dropped > 0:
                self._write(keys | {tenant: keys[tenant][:1]})
            return max(dropped, 0)

    def _fernet(self, tenant: str) -> MultiFernet | None:
        with self._lock:
            self._refresh()
            if tenant not in self._fernets:
                found = self._keys.get(tenant, self._keys.get(ANY_TENANT))
                if found is None:
                    return None
                self._fernets[tenant] = MultiFernet([Fernet(key) for key in found])
            return self._fernets[tenant]

    def _refresh(self) -> None:
        try:
            stat = self._path.stat()
        except OSError as error:
            raise KeysUnusable(f"the key file {self._path} cannot be read: {error}") from error
        stamp = (stat.st_mtime_ns, stat.st_ino)
        if stamp != self._stamp:
            self._keys, self._fernets, self._stamp = self._read(), {}, stamp

    def _read(self) -> Mapping[str, tuple[str, ...]]:
        try:
            lines = self._path.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise KeysUnusable(f"the key file {self._path} cannot be read: {error}") from error
        keys: dict[str, tuple[str, ...]] = {}
        for number, line in enumerate(lines, 1):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            if len(words) != 2 or not (is_token(words[0]) or words[0] == ANY_TENANT) or not _is_key(words[1]):
                raise KeysUnusable(
                    f"line {number} of {self._path} is no `tenant key`; `aos experience rotate-keys` makes them"
                )
            keys[words[0]] = (*keys.get(words[0], ()), words[1])
        return keys

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One process at a time reads and writes: a key that another one added in between would be lost for ever."""
        path = self._path.resolve()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = (path.parent / f".{path.name}.lock").open("ab")
        except OSError as error:
            raise KeysUnusable(f"the key file {self._path} cannot be written: {error}") from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write(self, keys: Mapping[str, tuple[str, ...]]) -> None:
        path = self._path.resolve()  # a link keeps pointing where it did
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        lines = [f"{tenant} {key}\n" for tenant, of_tenant in sorted(keys.items()) for key in of_tenant]
        try:
            # Who may read it stays as it was: a role of another user must not lose its keys.
            before = path.stat() if path.exists() else None
            handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w") as file:
                if before is not None:
                    _give(handle, before)
                file.writelines(["# tenant key; the newest key of a tenant comes first and seals\n", *lines])
                file.flush()
                os.fsync(handle)
            partial.replace(path)
            sync(path.parent)  # the new name too, before anything is sealed by what the file holds
        except OSError as error:
            raise KeysUnusable(f"the key file {self._path} cannot be written: {error}") from error


def _give(handle: int, before: os.stat_result) -> None:
    """Owner, group and rights of the file before. Who may not give a file away keeps it to himself."""
    with suppress(PermissionError):
        os.fchown(handle, before.st_uid, before.st_gid)
        os.fchmod(handle, before.st_mode & 0o777)


def _is_key(word: str) -> bool:
    try:
        Fernet(word)
    except ValueError:
        return False
    return True
