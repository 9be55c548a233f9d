"""Tables of tiny trainings; and a cluster that is this very process, for what needs no Ray."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from protores.fleet import attempts, fleet, task
from protores.fleet.row import FIGURES, Row, RowFolder
from protores.fleet.share import Share

WriteTable = Callable[..., Path]


@pytest.fixture
def write_table(tmp_path: Path) -> WriteTable:
    """write_table(rows, name=, delimiter=): a CSV file of rows as dicts, whose columns are all of their keys."""

    def write(rows: Sequence[Mapping[str, Any]], name: str = "parts.csv", delimiter: str = ",") -> Path:
        path = tmp_path / name
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(k for row in rows for k in row)), delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)
        return path

    return write


@pytest.fixture
def tiny_row(tiny: Mapping[str, Any], tiny_product: Path) -> dict[str, Any]:
    """A row of a table that trains what tiny_run is, on one CPU."""
    share = Share(1, 0).settings(None)
    cells = {key: json.dumps(value) for key, value in tiny.items() if key not in share}
    return {"data": tiny_product, "preset": "quick", **cells}


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """A folder that looks like a product's."""
    (tmp_path / "images" / "good").mkdir(parents=True)
    (tmp_path / "images" / "good" / "1.png").write_bytes(b"not read by the table")
    return tmp_path / "images"


class Trained:
    """Stands in for training: notes which rows it did, and fails or stops where it was told to."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, int]] = []
        self.fails: dict[str, Exception] = {}
        self.stops_at: str | None = None

    def __call__(self, row: Row, folder: RowFolder, share: Share) -> tuple[dict[str, float | None], int]:
        if row.product == self.stops_at:
            raise KeyboardInterrupt
        self.rows.append((row.product, row.seed))
        if row.product in self.fails:
            raise self.fails[row.product]
        return dict.fromkeys(FIGURES, 0.9 + row.seed / 100), row.steps


@pytest.fixture
def trained(monkeypatch) -> Trained:
    """Rows are done in this process, one after the other, as often as a cluster would try, by a stand-in."""

    @contextmanager
    def connected(address: str | None) -> Iterator[int]:
        yield 1

    def attempt(folders, share, ended, look) -> None:
        for folder in folders:
            for left in reversed(range(1 + attempts.RETRIES)):
                try:
                    task.train_row(folder, share)
                except Exception as error:
                    if not left:
                        ended(folder, task.failure(error))
                else:
                    ended(folder, None)
                    break
            look()

    stand_in = Trained()
    monkeypatch.setattr(task, "_train", stand_in)
    monkeypatch.setattr(fleet, "connected", connected)
    monkeypatch.setattr(attempts, "attempt", attempt)
    monkeypatch.setattr(attempts, "machines", lambda: [{"CPU": 1.0}])
    return stand_in
