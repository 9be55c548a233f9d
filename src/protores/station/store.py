"""Verdicts, images and feedback on disk: a SQLite database (WAL) and a folder of images as they came.

What a method has returned from is durable: files and folders are synced, transactions are. All names on disk are made
here, of dates and identifiers; none comes from a client. A store belongs to one station at a time; others may read it.
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Self

from protores.decision.regions import Region
from protores.decision.verdict import OUTCOMES
from protores.errors import StationError
from protores.files import writing
from protores.lock import lock
from protores.station.records import Counted, Feedback, Judgement, Record, now
from protores.station.schema import VERSION, migrate, version_of

DATABASE, IMAGES, LOCK = "station.db", "images", "lock"
COLUMNS = (
    "v.id, v.time, v.name, v.sha256, v.model, v.score, v.verdict, v.good_below, v.bad_above, v.height, v.width, "
    "v.regions, v.seconds, f.label, f.kind, f.mask IS NOT NULL AS has_mask, f.time AS feedback_time"
)
TABLES = "verdicts v LEFT JOIN feedback f ON f.number = v.number"
SAID_LAST = (
    "f.label IS NOT NULL AND NOT EXISTS (SELECT 1 FROM verdicts w JOIN feedback g ON g.number = w.number "
    "WHERE w.sha256 = v.sha256 AND (g.time, g.number) > (f.time, f.number))"
)
FEEDBACK_FILTERS = {"any": "f.label IS NOT NULL", "none": "f.label IS NULL", "good": "f.label = 'good'",
                    "bad": "f.label = 'bad'"}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A verdict to be kept. map: PNG file of the anomaly map."""

    record: Record
    map: bytes


class Store:
    """A station's memory; its methods may be called from any thread."""

    def __init__(self, folder: Path, serving: bool):
        """serving: for the one station that writes; else the store is only read.

        Raises StationError where there is none to read, where it is another station's, or a newer version's.
        """
        self.folder = folder
        self._writing, self._reading = Lock(), Lock()
        self._days: set[Path] = set()
        path = folder / DATABASE
        with ExitStack() as opened:
            if serving:
                with writing(folder):
                    (folder / IMAGES).mkdir(parents=True, exist_ok=True)
                refusal = StationError(f"{folder} is in use by another station; stop it, or take another --store")
                opened.enter_context(closing(lock(folder / LOCK, refusal)))
            elif not path.is_file():
                raise StationError(f"{folder} is no station's store ({DATABASE} is missing); give what serve calls so")
            try:
                self._writer, self._reader = (opened.enter_context(closing(_connect(path))) for _ in range(2))
                if serving:
                    migrate(self._writer, str(path))
                elif version_of(self._reader, str(path)) != VERSION:
                    raise StationError(f"{path} was written by an older protores; start a station on it once")
            except sqlite3.DatabaseError as error:
                raise StationError(f"{path} cannot be used ({error}); restore it, or take another --store") from error
            self._opened = opened.pop_all()

    def close(self) -> None:
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def put_image(self, id: str, time: str, content: bytes) -> None:
        """Keeps an uploaded file, for a verdict that add() will be given. Raises OSError."""
        path = self._image_path(id, time)
        path.parent.mkdir(exist_ok=True)
        with path.open("xb") as file:
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                self.drop_image(id, time)
                raise

    def drop_image(self, id: str, time: str) -> None:
        """Undoes put_image where no verdict came of it."""
        with suppress(OSError):
            self._image_path(id, time).unlink(missing_ok=True)

    def add(self, entries: Sequence[Entry]) -> None:
        """Keeps verdicts, all of them or none. Raises OSError and sqlite3.Error."""
        for day in {self._image_path(entry.record.id, entry.record.time).parent for entry in entries}:
            _sync_folder(day)
            if day not in self._days:
                _sync_folder(day.parent)
                self._days.add(day)
        rows = [
            (
                r.id, r.time, r.name, r.sha256, r.model, r.score, r.verdict, r.good_below, r.bad_above, *r.size,
                json.dumps([region.to_dict() for region in r.regions]), r.seconds, entry.map,
            )
            for entry in entries
            for r in (entry.record,)
        ]  # fmt: skip
        with self._change() as database:
            database.executemany(
                "INSERT INTO verdicts (id, time, name, sha256, model, score, verdict, good_below, bad_above, height, "
                f"width, regions, seconds, map) VALUES ({', '.join('?' * 14)})",
                rows,
            )

    def get(self, id: str) -> Record | None:
        """The verdict of this id, as it is now."""
        found = self._read(f"SELECT {COLUMNS} FROM {TABLES} WHERE v.id = ?", id)
        return _record(found[0]) if found else None

    def page(
        self, limit: int, before: str | None = None, verdict: str | None = None, feedback: str | None = None
    ) -> tuple[list[Record], str | None]:
        """The newest verdicts older than `before`, and its next value; feedback: a key of FEEDBACK_FILTERS.

        Raises KeyError where there is no verdict `before`.
        """
        conditions, values = ["1"], []
        if before is not None:
            numbers = self._read("SELECT number FROM verdicts WHERE id = ?", before)
            if not numbers:
                raise KeyError(before)
            conditions.append("v.number < ?")
            values.append(numbers[0]["number"])
        if verdict is not None:
            conditions.append("v.verdict = ?")
            values.append(verdict)
        if feedback is not None:
            conditions.append(FEEDBACK_FILTERS[feedback])
        found = self._read(
            f"SELECT {COLUMNS} FROM {TABLES} WHERE {' AND '.join(conditions)} ORDER BY v.number DESC LIMIT ?",
            *values,
            limit + 1,
        )
        records = [_record(row) for row in found[:limit]]
        return records, records[-1].id if len(found) > limit else None

    def counts(self) -> dict[Counted, int]:
        """How many verdicts there are, of each outcome, and with feedback."""
        found = {row["verdict"]: row["n"] for row in self._read(
            "SELECT verdict, count(*) AS n FROM verdicts GROUP BY verdict"
        )}  # fmt: skip
        outcomes: dict[Counted, int] = {outcome: found.get(outcome, 0) for outcome in OUTCOMES}
        (feedback,) = self._read("SELECT count(*) AS n FROM feedback")
        return {"all": sum(found.values()), **outcomes, "feedback": feedback["n"]}

    def judged(self) -> Iterator[Record]:
        """Verdicts that people said something about, oldest first; of several on one image what was said last."""
        for row in self._read(f"SELECT v.id FROM {TABLES} WHERE {SAID_LAST} ORDER BY v.number"):
            found = self._read(f"SELECT {COLUMNS} FROM {TABLES} WHERE v.id = ? AND f.label IS NOT NULL", row["id"])
            yield from map(_record, found)

    def image(self, record: Record) -> bytes:
        """The file as it came. Raises StationError where it is gone."""
        path = self._image_path(record.id, record.time)
        try:
            return path.read_bytes()
        except OSError as error:
            why = f"the image of verdict {record.id} cannot be read ({error.strerror})"
            raise StationError(f"{why}; restore the store's folder {IMAGES}") from error

    def map(self, id: str) -> bytes | None:
        """PNG file of the anomaly map."""
        found = self._read("SELECT map FROM verdicts WHERE id = ?", id)
        return found[0]["map"] if found else None

    def mask(self, id: str) -> bytes | None:
        """PNG file of the painted mask."""
        found = self._read("SELECT f.mask FROM feedback f JOIN verdicts v USING (number) WHERE v.id = ?", id)
        return found[0]["mask"] if found else None

    def judge(self, judgement: Judgement, mask: bytes | None) -> Record | None:
        """Keeps what a person says, in place of what was said before. mask: PNG file. None: no such verdict."""
        with self._change() as database:
            database.execute(
                "INSERT OR REPLACE INTO feedback (number, label, kind, mask, time) "
                "SELECT v.number, ?, ?, coalesce(?, CASE WHEN ? THEN f.mask END), ? "
                f"FROM {TABLES} WHERE v.id = ?",
                (judgement.label, judgement.kind, mask, judgement.keeps_mask, now(), judgement.id),
            )
        return self.get(judgement.id)

    def take_back(self, id: str) -> Record | None:
        """Forgets what was said about a verdict. None where there is none."""
        with self._change() as database:
            database.execute("DELETE FROM feedback WHERE number = (SELECT number FROM verdicts WHERE id = ?)", (id,))
        return self.get(id)

    def forget(self, before: str) -> int:
        """Deletes verdicts of before that time on which nobody said anything, and their images. Returns how many.

        Raises sqlite3.Error.
        """
        forgotten = 0
        while True:
            with self._change() as database:
                old = database.execute(
                    f"SELECT v.number, v.id, v.time FROM {TABLES} WHERE v.time < ? AND f.label IS NULL "
                    "ORDER BY v.time LIMIT 500",
                    (before,),
                ).fetchall()
                database.executemany("DELETE FROM verdicts WHERE number = ?", [(row["number"],) for row in old])
            for row in old:
                self.drop_image(row["id"], row["time"])
            for day in {row["time"][:10] for row in old} - {before[:10]}:
                with suppress(OSError):  # there may be images that were judged
                    (self.folder / IMAGES / day).rmdir()
            forgotten += len(old)
            if not old:
                return forgotten

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        with self._writing:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    def _read(self, query: str, *values: Any) -> list[sqlite3.Row]:
        with self._reading:
            return self._reader.execute(query, values).fetchall()

    def _image_path(self, id: str, time: str) -> Path:
        return self.folder / IMAGES / time[:10] / id


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable, where the system can."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _record(row: sqlite3.Row) -> Record:
    feedback = None
    if row["label"] is not None:
        feedback = Feedback(
            label=row["label"], kind=row["kind"], has_mask=bool(row["has_mask"]), time=row["feedback_time"]
        )
    own = {key: row[key] for key in ("id", "time", "name", "sha256", "model", "score", "verdict", "good_below",
                                     "bad_above", "seconds")}  # fmt: skip
    regions = tuple(Region.from_dict(region) for region in json.loads(row["regions"]))
    return Record(**own, size=(row["height"], row["width"]), regions=regions, feedback=feedback)
