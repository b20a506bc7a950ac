"""The tables of the embedded experience store, their versions, and how a connection is opened."""

import sqlite3
from pathlib import Path

from evolution.errors import ExperienceStoreUnavailable, StoreMissing
from evolution.store.sqlite_advice import advice

BUSY_TIMEOUT_S = 5.0

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # AUTOINCREMENT: a sequence number is never used twice, so `tail` may remember the last one it saw.
        """CREATE TABLE experience (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            tenant TEXT NOT NULL,
            record_id TEXT NOT NULL,
            task_id TEXT NOT NULL,
            at_us INTEGER NOT NULL,
            state TEXT NOT NULL,
            success INTEGER NOT NULL,
            latency_ms REAL NOT NULL,
            cost REAL NOT NULL,
            policy TEXT NOT NULL,
            propensity REAL NOT NULL,
            exploratory INTEGER NOT NULL,
            chosen TEXT NOT NULL,
            modalities TEXT NOT NULL,
            failure_code TEXT,
            record TEXT NOT NULL,
            vector BLOB,
            UNIQUE (tenant, record_id)
        )""",
        "CREATE INDEX experience_of_tenant ON experience (tenant, at_us)",
        "CREATE INDEX experience_at ON experience (at_us)",
        """CREATE TABLE chosen_agent (
            tenant TEXT NOT NULL,
            agent_id TEXT NOT NULL,
            at_us INTEGER NOT NULL,
            seq INTEGER NOT NULL REFERENCES experience (seq) ON DELETE CASCADE,
            PRIMARY KEY (agent_id, tenant, at_us, seq)
        ) WITHOUT ROWID""",
        """CREATE TABLE feedback (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            tenant TEXT NOT NULL,
            feedback_id TEXT NOT NULL,
            task_id TEXT NOT NULL,
            at_us INTEGER NOT NULL,
            score REAL,
            thumbs_up INTEGER,
            feedback TEXT NOT NULL,
            UNIQUE (tenant, feedback_id)
        )""",
        "CREATE INDEX feedback_of_task ON feedback (tenant, task_id, at_us)",
    ),
    ("CREATE INDEX experience_of_task ON experience (tenant, task_id)",),
    (
        # What left for the cold tier: a file counts once it is named here, in the transaction that removes its rows.
        """CREATE TABLE cold_file (
            key TEXT PRIMARY KEY,
            tenant TEXT NOT NULL,
            first_us INTEGER NOT NULL,
            last_us INTEGER NOT NULL,
            last_seq INTEGER NOT NULL,
            rows INTEGER NOT NULL,
            sha256 TEXT NOT NULL,
            problem TEXT
        )""",
        "CREATE INDEX cold_file_of_tenant ON cold_file (tenant, first_us)",
        """CREATE TABLE hourly (
            tenant TEXT NOT NULL,
            hour_us INTEGER NOT NULL,
            agent_id TEXT NOT NULL,
            tasks INTEGER NOT NULL,
            successes INTEGER NOT NULL,
            latency_ms REAL NOT NULL,
            cost REAL NOT NULL,
            PRIMARY KEY (tenant, hour_us, agent_id)
        ) WITHOUT ROWID""",
    ),
)
"""One tuple of statements for each version; ``PRAGMA user_version`` says how many were applied. Only ever append."""


def open_for_writing(path: Path, max_bytes: int | None = None) -> sqlite3.Connection:
    """A connection for the one writer of this process: WAL, fsync at every commit, schema brought up to date."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = _connect(path)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        if max_bytes is not None:
            page_bytes = connection.execute("PRAGMA page_size").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count={max(1, max_bytes // page_bytes)}")
        migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """A connection that cannot write. Raises StoreMissing when there is no store yet, ExperienceStoreUnavailable."""
    must_exist(path)
    try:
        connection = _connect(path)
        connection.execute("PRAGMA query_only=1")
    except sqlite3.Error as error:
        raise ExperienceStoreUnavailable(f"experience store {path}: {advice(error)}") from error
    return connection


def must_exist(path: Path) -> None:
    """Raises StoreMissing when there is no store yet, ExperienceStoreUnavailable where nobody may look."""
    if not is_there(path):
        raise StoreMissing(
            f"there is no experience store at {path} yet. It appears when the evolution role has started"
        )


def is_there(path: Path) -> bool:
    """Whether there is a file that is not empty. Raises ExperienceStoreUnavailable where nobody may look."""
    try:
        return path.stat().st_size > 0
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise ExperienceStoreUnavailable(
            f"experience store {path} cannot be looked at: {error}. Check its folder's owner and mode"
        ) from error


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Apply what is missing, in one transaction; safe when several processes start at once."""
    if _version(connection) == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection)
        if version > len(MIGRATIONS):
            raise ExperienceStoreUnavailable(
                f"{path} was written by a newer release (schema {version}, this one knows {len(MIGRATIONS)}). Upgrade"
            )
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version={len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _connect(path: Path) -> sqlite3.Connection:
    # Autocommit: transactions are begun and ended by our own words. Connections move between pool threads, but are
    # used by one at a time, hence check_same_thread.
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA foreign_keys=1")
    return connection


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version
