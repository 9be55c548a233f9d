"""What a terminal shows: bars with time left while work goes on, and a table of figures at the end."""

import logging
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table

from protores.metrics.evaluation import Evaluation, Figures
from protores.metrics.products import ProductsEvaluation
from protores.progress import Progress

EVERY = 10.0
"""Seconds between lines where the output is no terminal."""


class ConsoleProgress(Progress):
    """A bar per stage; plain lines with time left where nobody can see a bar move."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self.bars = Bars(
            TextColumn("{task.description:<15}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[detail]}"),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.tasks: dict[str, TaskID] = {}
        self.begun: dict[str, tuple[float, float]] = {}
        self.told = 0.0

    def __enter__(self) -> Self:
        handler = RichHandler(console=self.console, show_time=False, show_path=False, show_level=False)
        logging.basicConfig(level=logging.WARNING, handlers=[handler], format="%(message)s", force=True)
        logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # a broken file is told in one line of our own
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bars.stop()

    def note(self, message: str) -> None:
        self.console.print(message, highlight=False, markup=False, soft_wrap=True)

    def track(self, what: str, done: float, total: float, detail: str = "") -> None:
        if not self.console.is_terminal:
            self._line(what, done, total, detail)
            return
        if what not in self.tasks:
            self.tasks[what] = self.bars.add_task(what, total=total, detail=detail)
        self.bars.update(self.tasks[what], completed=done, total=total, detail=detail)

    def _line(self, what: str, done: float, total: float, detail: str) -> None:
        now = time.monotonic()
        first = what not in self.begun
        begun, before = self.begun.setdefault(what, (now, done))
        if not first and done < total and now - self.told < EVERY:
            return
        self.told = now
        left = f", {(now - begun) * (total - done) / (done - before):.0f} s left" if before < done < total else ""
        self.note(f"{what}: {100 * done / max(total, 1e-9):.0f} %{left}{', ' + detail if detail else ''}")


def show_figures(evaluation: Evaluation) -> None:
    """The figures of all, seen, unseen and each kind of defects as a table, in percent."""
    table = Table(title="test images", title_justify="left")
    for column in (
        "defects",
        "images",
        "image AUROC",
        "image AP",
        "pixel AUROC",
        "pixel AP",
        "PRO",
        "best pixel F1",
    ):
        table.add_column(column, justify="left" if column == "defects" else "right")
    counts = evaluation.counts
    products = evaluation.products if isinstance(evaluation, ProductsEvaluation) else {}
    _row(table, "mean of products" if products else "all", counts.defective, evaluation)
    for name, figures in products.items():
        _row(table, name, figures.counts.defective, figures)
    for name, figures in (("seen kinds", evaluation.seen), ("unseen kinds", evaluation.unseen)):
        if figures.image_auroc is not None and len(evaluation.kinds) > 1:
            _row(table, name, None, figures)
    for kind, figures in evaluation.kinds.items():
        _row(table, kind, counts.kinds[kind], figures)
    console = Console()
    console.print(table)
    console.print(
        f"{counts.good} good and {counts.defective} defective images; - means undefined: all good or all defective"
    )
    if isinstance(evaluation, ProductsEvaluation):
        shares = ", ".join(f"{name} {100 * share:.1f} %" for name, share in evaluation.recognised.items())
        console.print(f"recognised as the product that they show: {shares}")


def _row(table: Table, name: str, images: int | None, figures: Figures) -> None:
    values = (
        figures.image_auroc,
        figures.image_ap,
        figures.pixel_auroc,
        figures.pixel_ap,
        figures.pro,
        figures.pixel_f1_max,
    )
    shown = ("-" if value is None else f"{100 * value:.1f}" for value in values)
    table.add_row(name, "" if images is None else str(images), *shown)
