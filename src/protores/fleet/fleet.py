"""The story of a fleet: read the table, train what is not finished, keep the overview up to date."""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from protores.cluster import connected
from protores.errors import RunError
from protores.files import write_json, write_text, write_whole, writing
from protores.fleet.overview import render
from protores.fleet.row import Row, RowFolder
from protores.fleet.share import share_of
from protores.fleet.summary import Entry, Summary
from protores.fleet.table import Table, read_table
from protores.lock import lock
from protores.progress import Progress

FILES = ("fleet.json", "fleet.csv", "overview.html")
TELL = 5.0
"""Seconds between looks at the histories of the rows that train."""


def fleet(
    table: Path,
    out: Path,
    address: str | None = None,
    cpus: int | None = None,
    gpus: float | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Trains each product of a table (table.py) with each of its seeds, and writes FILES into `out`.

    address: of a Ray cluster, whose machines see table, images and `out` under the same paths; None: this machine.
    cpus, gpus: of a row (share.py). What is finished in `out` stays as it is; what was cut off goes on; a row of which
    the table says something else now is another. Raises SettingsError for the table before anything is begun,
    RunError where `out` cannot be used, ClusterError where the cluster cannot. A row that fails raises nothing.
    """
    progress = progress or Progress()
    read = read_table(table)
    out = out.resolve()
    with writing(out, "free some space and go on with the same command"), _held(out):
        work = _Work(table, read, out, progress)
        if work.waiting:
            with connected(address):
                from protores.fleet.attempts import attempt, machines

                share = share_of(machines(), cpus, gpus)
                progress.note(f"{len(work.waiting)} trainings, with {share} each")
                for folder, row in work.waiting.items():
                    folder.ask(row)
                attempt(list(work.waiting), share, work.ended, work.look)
        return work.write()


class _Work:
    """What is to be done in `out`, what came of it so far, and the files and the user told of it."""

    def __init__(self, path: Path, table: Table, out: Path, progress: Progress):
        self.path, self.table, self.out, self.progress = path, table, out, progress
        self.folders = {row.folder(out): row for row in table.rows}
        self.outcomes = {folder: folder.outcome() for folder in self.folders}
        self.failures: dict[RowFolder, str] = {}
        self.waiting: Mapping[RowFolder, Row] = {f: row for f, row in self.folders.items() if self.outcomes[f] is None}
        self.done = 0
        self.looked = 0.0
        if finished := len(self.folders) - len(self.waiting):
            progress.note(f"{finished} of {len(self.folders)} trainings are finished already")

    def ended(self, folder: RowFolder, failure: str | None) -> None:
        self.done += 1
        self.outcomes[folder] = folder.outcome()
        if failure is None and self.outcomes[folder] is None:
            failure = f"{folder.path} came to nothing on this machine; pass an --out that all machines share"
        if failure is not None:
            self.failures[folder] = failure
            self.progress.note(f"failed: {self.folders[folder].name}: {failure}")
        self.write()
        self.looked = 0.0

    def look(self) -> None:
        if time.monotonic() - self.looked < TELL:
            return
        self.looked = time.monotonic()
        begun = sum(f.share_trained(r.steps) for f, r in self.waiting.items() if self._is_waiting(f))
        detail = f"{self.done} of {len(self.waiting)}" + (f", {len(self.failures)} failed" if self.failures else "")
        self.progress.track("trainings", self.done + begun, len(self.waiting), detail)

    def _is_waiting(self, folder: RowFolder) -> bool:
        return self.outcomes[folder] is None and folder not in self.failures

    def write(self) -> Summary:
        summary = Summary.of(
            [
                Entry(row, f.path.relative_to(self.out).as_posix(), self.outcomes[f], self.failures.get(f))
                for f, row in self.folders.items()
            ]
        )
        write_json(self.out / "fleet.json", summary.to_json())
        write_whole(self.out / "fleet.csv", summary.to_csv(self.table.delimiter))
        write_text(self.out / "overview.html", render(summary, self.path.stem))
        return summary


@contextmanager
def _held(out: Path) -> Iterator[None]:
    """One fleet at a time, in a folder of its own. Raises RunError."""
    if out.is_dir() and any(out.iterdir()) and not (out / "rows").is_dir():
        raise RunError(f"{out} holds something else; pass another --out")
    (out / "rows").mkdir(parents=True, exist_ok=True)
    with closing(lock(out / "lock", RunError(f"another fleet works in {out}; wait for it, or pass another --out"))):
        yield
