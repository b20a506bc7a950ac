"""SQLite's errors as words that say what to do. Called by whatever opens the embedded store's file."""

import sqlite3

_ADVICE = {
    sqlite3.SQLITE_BUSY: "locked by another process for over 5 s. Find it with `fuser`, or stop the second writer",
    sqlite3.SQLITE_LOCKED: "locked by another process for over 5 s. Find it with `fuser`, or stop the second writer",
    sqlite3.SQLITE_FULL: "its disk or its quota is full. Free space or raise the quota; records wait in the stream",
    sqlite3.SQLITE_CORRUPT: "the file is damaged. Move it away (a new one is made) and keep it for `sqlite3 .recover`",
    sqlite3.SQLITE_NOTADB: "the file is no SQLite database. Move it away; a new one is made",
    sqlite3.SQLITE_READONLY: "the file or its folder cannot be written, which even reading needs. Check owner and mode",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened. Check its folder's owner and mode",
    sqlite3.SQLITE_IOERR: "the disk answers with an error",
}


def advice(error: Exception) -> str:
    """What to do about it, and what SQLite (or the system) said."""
    primary = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    return f"{_ADVICE.get(primary, 'it failed')} ({error})"
