"""Vectors of texts, kept on disk by content, so that a second evaluation of the same files starts at once.

Called by the evaluation commands, around the encoder they were given.
"""

import asyncio
import hashlib
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import numpy as np

from tensor_layer.ports import Vector

logger = logging.getLogger(__name__)

Encode = Callable[[Sequence[str]], Awaitable[Vector]]
"""(len(texts), dimension) float32, rows unit-norm."""
Tell = Callable[[int, int], None]
"""Told how many of how many texts have their vectors."""

CHUNK_TEXTS = 256
READ_KEYS = 500
WAIT_S = 60.0
TABLE = "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB) WITHOUT ROWID"


def silent(_done: int, _total: int) -> None:
    """Tells nobody."""


class VectorCache:
    """An ``Encode`` in front of another one. Several processes may use one file at a time.

    The file is an SQLite table of digest → little-endian float32. It is only a cache: a damaged file is thrown away, a
    place that cannot be written is said once and done without, and deleting it loses nothing but time. One file serves
    one version of the encoder's weights.
    """

    def __init__(self, file: Path, encode: Encode, dimension: int) -> None:
        self._file = file
        self._encode = encode
        self._dimension = dimension
        self._kept = True

    @property
    def name(self) -> str:
        """Which encoder made the vectors, with its version: the file's name says it."""
        return self._file.stem

    async def encode(self, texts: Sequence[str], tell: Tell = silent) -> Vector:
        """(len(texts), dimension) float32, rows unit-norm. Each different text is encoded once; chunks are kept."""
        keys = [_key(text) for text in texts]
        rows = {key: row for row, key in enumerate(dict.fromkeys(keys))}
        found = np.zeros((len(rows), self._dimension), dtype=np.float32)
        known = await asyncio.to_thread(self._read, rows, found)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        done = len(rows) - len(missing)
        tell(done, len(rows))
        # Texts of similar length are encoded together: padding is most of the cost when lengths differ.
        todo = sorted(missing, key=lambda key: len(missing[key]))
        for start in range(0, len(todo), CHUNK_TEXTS):
            chunk = todo[start : start + CHUNK_TEXTS]
            vectors = await self._encode([missing[key] for key in chunk])
            found[[rows[key] for key in chunk]] = vectors
            await asyncio.to_thread(self._write, chunk, vectors)
            done += len(chunk)
            tell(done, len(rows))
        return found[[rows[key] for key in keys]]

    def _read(self, rows: dict[bytes, int], found: Vector) -> set[bytes]:
        """Fill in the vectors that the file holds, and say which."""
        known: set[bytes] = set()
        if not self._kept or not self._file.is_file():
            return known
        keys = list(rows)
        try:
            with _opened(self._file) as table:
                for start in range(0, len(keys), READ_KEYS):
                    part = keys[start : start + READ_KEYS]
                    marks = ",".join("?" * len(part))
                    for key, blob in table.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks})", part):  # noqa: S608 - only question marks
                        if len(blob) == 4 * self._dimension:
                            found[rows[key]] = np.frombuffer(blob, dtype="<f4")
                            known.add(key)
        except sqlite3.OperationalError as error:
            self._do_without(error)
        except sqlite3.DatabaseError:
            self._file.unlink(missing_ok=True)
        return known

    def _write(self, keys: Sequence[bytes], vectors: Vector) -> None:
        if not self._kept:
            return
        rows = [(key, vector.astype("<f4").tobytes()) for key, vector in zip(keys, vectors, strict=True)]
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with _opened(self._file) as table:
                table.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
        except (OSError, sqlite3.OperationalError) as error:
            self._do_without(error)

    def _do_without(self, error: Exception) -> None:
        """The disk is full, or somebody else's: the vectors are there all the same, for this run."""
        self._kept = False
        logger.warning("vectors are not kept for the next run: %s: %s", self._file, error)


class _opened:  # noqa: N801 - reads as a verb at the call sites
    """A connection that commits and closes at the end of its block."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, timeout=WAIT_S)

    def __enter__(self) -> sqlite3.Connection:
        try:
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=OFF")
            self._connection.execute(TABLE)
        except sqlite3.DatabaseError:
            self._connection.close()
            raise
        return self._connection

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self._connection.commit()
        self._connection.close()


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=16).digest()
