"""One training of a fleet: a product with one seed, and its folder."""

import csv
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from protores.errors import RunError
from protores.files import write_json
from protores.metrics.evaluation import Figures

FIGURES = tuple(field.name for field in fields(Figures))


@dataclass(frozen=True)
class Row:
    """What to train. data: the folder of images; preset: None where the table has none; overrides: settings by dotted
    key, as JSON values, on top of it; steps: that they come to. Paths are whole, since another machine runs it.
    """

    product: str
    seed: int
    data: Path
    preset: str | None
    overrides: Mapping[str, Any]
    steps: int

    @property
    def name(self) -> str:
        return f"{self.product}, seed {self.seed}"

    @property
    def key(self) -> str:
        """Changes with whatever the table says of the row, so that a changed row is another one."""
        said = json.dumps([str(self.data), self.preset, dict(self.overrides)], sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()[:8]

    def folder(self, out: Path) -> "RowFolder":
        return RowFolder(out / "rows" / self.product / f"seed{self.seed}-{self.key}")


@dataclass(frozen=True)
class Outcome:
    """What a finished row has to show. figures: by the names of FIGURES, in [0, 1], None where undefined; seconds: of
    its last attempt; machine: where that was; finished: date and time, in UTC.
    """

    figures: Mapping[str, float | None]
    steps: int
    seconds: float
    machine: str
    finished: str


@dataclass(frozen=True)
class RowFolder:
    """The files of a row, which all machines see under the same path."""

    path: Path

    @property
    def run(self) -> Path:
        return self.path / "run"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def errors(self) -> Path:
        """A traceback of each attempt that failed."""
        return self.path / "errors.txt"

    @property
    def _asked(self) -> Path:
        return self.path / "row.json"

    @property
    def _outcome(self) -> Path:
        return self.path / "outcome.json"

    def ask(self, row: Row) -> None:
        """Says here what is to be trained."""
        self.path.mkdir(parents=True, exist_ok=True)
        asked = {"product": row.product, "seed": row.seed, "data": str(row.data), "preset": row.preset}
        write_json(self._asked, asked | {"overrides": dict(row.overrides), "steps": row.steps})

    def asked(self) -> Row:
        """Raises RunError where this machine does not see what another one asked for."""
        try:
            content = json.loads(self._asked.read_text(encoding="utf-8"))
        except OSError as error:
            raise RunError(f"{self.path} is not on this machine; pass an --out that all machines share") from error
        return Row(**content | {"data": Path(content["data"])})

    def finish(self, outcome: Outcome) -> None:
        """From now on the row is finished."""
        write_json(self._outcome, vars(outcome))

    def outcome(self) -> Outcome | None:
        """None while the row is not finished."""
        try:
            return Outcome(**json.loads(self._outcome.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise RunError(f"{self._outcome} is damaged; delete it, and the row is judged again") from error

    def share_trained(self, steps: int) -> float:
        """How much of so many steps lies behind, in [0, 1), by the last line of the run's history."""
        try:
            with (self.run / "history.csv").open(newline="") as file:
                last = max((int(line["step"]) for line in csv.DictReader(file)), default=0)
                return min(0.99, max(0, last) / steps)
        except (OSError, KeyError, TypeError, ValueError, csv.Error):
            return 0.0
