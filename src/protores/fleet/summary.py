"""What came of a fleet: the figures of each product, mean and spread over its seeds, the worst product first."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from protores.fleet.row import FIGURES, Outcome, Row
from protores.metrics.spread import Spread, spread

LISTED = 20
"""Products that a terminal shows."""


@dataclass(frozen=True)
class Entry:
    """A row with its outcome, or why it failed, or neither while it waits. folder: as seen from the fleet's folder."""

    row: Row
    folder: str
    outcome: Outcome | None
    failure: str | None


@dataclass(frozen=True)
class Product:
    """The rows of one product by seed, and the spread of each of FIGURES over those that are finished; None where it is
    undefined for one of them, or none is finished."""

    name: str
    entries: tuple[Entry, ...]
    figures: Mapping[str, Spread | None]

    @property
    def finished(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.outcome is not None)

    @property
    def rank(self) -> tuple[float, ...]:
        """Sorts the worst first: nothing finished, then by image AUROC and pixel AP, undefined ones last."""
        means = (self.figures[name] for name in ("image_auroc", "pixel_ap"))
        return float(bool(self.finished)), *(math.inf if one is None else one.mean for one in means)


@dataclass(frozen=True)
class Summary:
    """All products, the worst first."""

    products: tuple[Product, ...]

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> "Summary":
        names = dict.fromkeys(entry.row.product for entry in entries)
        products = [_product(name, [entry for entry in entries if entry.row.product == name]) for name in names]
        return cls(tuple(sorted(products, key=lambda product: (*product.rank, product.name))))

    @property
    def entries(self) -> list[Entry]:
        return [entry for product in self.products for entry in product.entries]

    @property
    def finished(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.outcome is not None]

    @property
    def failed(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.failure is not None]

    def lines(self) -> Iterator[str]:
        """The outcome for a person: the worst products, and what failed."""
        width = max(len("product"), *(len(product.name) for product in self.products[:LISTED]))
        yield f"{'product':<{width}}  rows  {'image AUROC':>12}  {'pixel AP':>12}  {'PRO':>12}"
        for product in self.products[:LISTED]:
            rows = f"{len(product.finished)}/{len(product.entries)}"
            cells = "  ".join(f"{percent(product.figures[name]):>12}" for name in ("image_auroc", "pixel_ap", "pro"))
            yield f"{product.name:<{width}}  {rows:>4}  {cells}"
        if len(self.products) > LISTED:
            yield f"... and {len(self.products) - LISTED} better ones"
        for entry in self.failed:
            yield f"failed: {entry.row.name}: {entry.failure}"

    def to_json(self) -> dict[str, Any]:
        """For fleet.json."""
        return {
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
            "products": [
                {
                    "product": product.name,
                    "figures": {name: own and asdict(own) for name, own in product.figures.items()},
                    "rows": [_row(entry) for entry in product.entries],
                }
                for product in self.products
            ],
        }

    def to_csv(self, delimiter: str) -> bytes:
        """A line per product, for a spreadsheet: UTF-8 with the mark that tells it so."""
        file = io.StringIO()
        writer = csv.writer(file, delimiter=delimiter)
        columns = [f"{name} {what}" for name in FIGURES for what in ("mean", "std")]
        writer.writerow(["product", "rows", "finished", "failed", *columns])
        for product in self.products:
            failed = sum(entry.failure is not None for entry in product.entries)
            values = [v for own in product.figures.values() for v in ((own.mean, own.std) if own else (None, None))]
            cells = ["" if value is None else f"{value:.6f}" for value in values]
            writer.writerow([product.name, len(product.entries), len(product.finished), failed, *cells])
        return file.getvalue().encode("utf-8-sig")


def percent(value: Spread | None) -> str:
    """As "97.2 ± 0.4"."""
    if value is None:
        return "-"
    mean = f"{100 * value.mean:.1f}"
    return mean if value.std is None else f"{mean} ± {100 * value.std:.1f}"


def _product(name: str, entries: Sequence[Entry]) -> Product:
    ordered = tuple(sorted(entries, key=lambda entry: entry.row.seed))
    found = [entry.outcome for entry in ordered if entry.outcome is not None]
    return Product(name, ordered, {figure: spread(one.figures[figure] for one in found) for figure in FIGURES})


def _row(entry: Entry) -> dict[str, Any]:
    row = {"seed": entry.row.seed, "folder": entry.folder, "preset": entry.row.preset}
    outcome = None if entry.outcome is None else vars(entry.outcome)
    return row | {"overrides": dict(entry.row.overrides), "outcome": outcome, "failure": entry.failure}
