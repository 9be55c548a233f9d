"""The store's tables, as the steps that made them: a store of an older version goes through those it lacks."""

import sqlite3

from protores.errors import StationError

APPLICATION = 0x50524F54
"""Marks a database as a station's ("PROT")."""
MIGRATIONS = (
    """
    CREATE TABLE verdicts (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        time TEXT NOT NULL,
        name TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        model TEXT NOT NULL,
        score REAL NOT NULL,
        verdict TEXT,
        good_below REAL,
        bad_above REAL,
        height INTEGER NOT NULL,
        width INTEGER NOT NULL,
        regions TEXT NOT NULL,
        seconds REAL NOT NULL,
        map BLOB NOT NULL
    );
    CREATE INDEX verdicts_by_verdict ON verdicts (verdict, number);
    CREATE INDEX verdicts_by_image ON verdicts (sha256);
    CREATE INDEX verdicts_by_time ON verdicts (time);
    CREATE TABLE feedback (
        number INTEGER PRIMARY KEY REFERENCES verdicts (number),
        label TEXT NOT NULL,
        kind TEXT,
        mask BLOB,
        time TEXT NOT NULL
    );
    """,
)
"""Number n of them makes version n + 1 of version n; steps are only ever added."""
VERSION = len(MIGRATIONS)


def version_of(database: sqlite3.Connection, name: str) -> int:
    """The store's version, 0 for an empty database. Raises StationError where it is another program's, or too new."""
    (application,), (version,) = (
        database.execute(f"PRAGMA {key}").fetchone() for key in ("application_id", "user_version")
    )
    (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION and (tables or version):
        raise StationError(f"{name} is no station's database; give another folder by --store")
    if version > VERSION:
        raise StationError(
            f"{name} was written by a newer protores (version {version}, this one knows {VERSION}); update protores"
        )
    return version


def migrate(database: sqlite3.Connection, name: str) -> None:
    """Brings a store to VERSION, a step at a time, each whole or not at all. Raises StationError as version_of."""
    for step in range(version_of(database, name), VERSION):
        database.executescript(
            f"BEGIN IMMEDIATE; {MIGRATIONS[step]}"
            f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {step + 1}; COMMIT;"
        )
