"""One self-contained HTML page of all products of a fleet, the worst first, with links to their reports."""

from collections.abc import Iterator
from datetime import date
from importlib.resources import files
from math import floor
from urllib.parse import quote

import jinja2
from markupsafe import Markup

import protores
from protores.fleet.row import FIGURES
from protores.fleet.summary import Product, Summary, percent
from protores.report.page import FIGURES as TITLES

STRIP = "image_auroc"
"""The figure whose seeds are drawn as dots."""


def render(summary: Summary, table: str) -> str:
    """The page's HTML. table: the name of the fleet's table."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    own = files("protores.fleet")
    low = least(summary)
    return environment.from_string(own.joinpath("overview.html").read_text("utf-8")).render(
        table=table,
        date=date.today().isoformat(),
        version=protores.__version__,
        style=Markup(files("protores.report").joinpath("page.css").read_text("utf-8")),
        more=Markup(own.joinpath("overview.css").read_text("utf-8")),
        summary=summary,
        waiting=len(summary.entries) - len(summary.finished) - len(summary.failed),
        worst=next((product for product in summary.products if product.figures[STRIP] is not None), None),
        strip=STRIP,
        titles=[TITLES[name] for name in FIGURES],
        low=low,
        dots=lambda product: list(dots(product, low)),
        percent=percent,
        url=quote,
    )


def least(summary: Summary) -> float:
    """Where the strips begin: the least image AUROC, rounded down to a tenth and 0.9 at most."""
    found = [entry.outcome.figures[STRIP] for entry in summary.entries if entry.outcome is not None]
    return min([0.9, *(floor(value * 10) / 10 for value in found if value is not None)])


def dots(product: Product, low: float) -> Iterator[float]:
    """The seeds of a product on a scale from `low` (0) to 1 (100)."""
    for entry in product.finished:
        assert entry.outcome is not None
        value = entry.outcome.figures[STRIP]
        if value is not None:
            yield round(100 * (value - low) / (1 - low), 2)
