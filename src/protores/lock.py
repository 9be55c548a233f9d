"""A folder that one process at a time may write to."""

import sqlite3
from pathlib import Path


def lock(path: Path, refusal: Exception) -> sqlite3.Connection:
    """Holds a file, which lies in the folder, until it is closed, or its process ends. SQLite locks on every system.

    Raises `refusal` where another holds it.
    """
    held = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        held.execute("PRAGMA journal_mode = MEMORY")
        held.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        held.close()
        raise refusal from error
    return held
