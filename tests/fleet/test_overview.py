"""The page of a fleet: everything on it, nothing fetched, no markup from names."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from protores.fleet.overview import dots, least, render
from protores.fleet.row import FIGURES, Outcome, Row
from protores.fleet.summary import Entry, Summary


def entry(product: str, seed: int, auroc: float | None, failure: str | None = None) -> Entry:
    row = Row(product, seed, Path("images"), None, {}, 1000)
    figures = dict.fromkeys(FIGURES, 0.8) | {"image_auroc": auroc}
    outcome = None if failure else Outcome(figures, 1000, 12.5, "node-1", "2026-01-01T00:00:00+00:00")
    return Entry(row, f"rows/{product}/seed{seed}-0a1b2c3d", outcome, failure)


@pytest.fixture
def summary() -> Summary:
    return Summary.of(
        [
            entry("lid & ring #2", 0, 0.95),
            entry("lid & ring #2", 1, 0.85),
            entry("housing", 0, None),
            entry("<b>", 0, None, "<script>alert(1)</script>"),
        ]
    )


def test_it_links_every_report_and_tells_every_failure(summary):
    page = render(summary, "parts")
    links = {unquote(link) for link in re.findall(r'href="([^"]+)"', page)}
    assert {link for link in links if link.endswith("report.html")} == {
        "rows/lid & ring #2/seed0-0a1b2c3d/report.html",
        "rows/lid & ring #2/seed1-0a1b2c3d/report.html",
        "rows/housing/seed0-0a1b2c3d/report.html",
    }
    assert "rows/<b>/seed0-0a1b2c3d/" in links
    assert not any(re.match(r"\w+:|/|\.\.", link) for link in links)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script" not in page
    assert "<b>" not in page
    assert "3 of 4 trainings are finished" in page
    assert "The weakest product is lid &amp; ring #2, at 90.0 ± 7.1 % image AUROC" in page


def test_nothing_is_fetched(summary):
    page = render(summary, "parts")
    assert "default-src 'none'" in page
    assert not re.search(r"""(src|srcset)=|url\(|@import|https?:""", page)


def test_dots_lie_between_the_ends(summary):
    low = least(summary)
    assert low == 0.8
    ring = next(product for product in summary.products if product.name.startswith("lid"))
    assert list(dots(ring, low)) == [75.0, 25.0]
    assert least(Summary.of([entry("x", 0, 0.99)])) == 0.9
    assert least(Summary.of([entry("x", 0, None)])) == 0.9


def test_a_fleet_that_has_only_begun_has_a_page():
    row = Row("lid", 0, Path("images"), None, {}, 1000)
    page = render(Summary.of([Entry(row, "rows/lid/seed0-00000000", None, None)]), "parts")
    assert "0 of 1 trainings are finished, 1 waits." in page
    assert "weakest product is" not in page
