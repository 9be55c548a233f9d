"""Mean and spread per product, the worst first, as JSON, as CSV and for a terminal."""

import csv
import io
import json
import statistics
from pathlib import Path

import pytest

from protores.fleet.row import FIGURES, Outcome, Row
from protores.fleet.summary import Entry, Summary


def entry(product: str, seed: int, auroc: float | None = None, ap: float = 0.5, failure: str | None = None) -> Entry:
    row = Row(product, seed, Path("images"), "quick", {"split.seen": 5}, 1000)
    outcome = None
    if auroc is not None:
        figures = dict.fromkeys(FIGURES, 0.8) | {"image_auroc": auroc, "pixel_ap": ap, "pro": None}
        outcome = Outcome(figures, 1000, 12.5, "node-1", "2026-01-01T00:00:00+00:00")
    return Entry(row, f"rows/{product}/seed{seed}-0a1b2c3d", outcome, failure)


ENTRIES = [
    entry("good", 1, 0.99),
    entry("good", 0, 0.95),
    entry("bad", 0, 0.7),
    entry("bad", 1, failure="no GPU"),
    entry("worse at pixels", 0, 0.7, 0.4),
    entry("broken", 0, failure="1.png: cannot be read; remove it"),
    entry("later", 0),
]


@pytest.fixture
def summary() -> Summary:
    return Summary.of(ENTRIES)


def test_the_worst_comes_first(summary):
    assert [product.name for product in summary.products] == ["broken", "later", "worse at pixels", "bad", "good"]


def test_mean_and_spread_over_what_is_finished(summary):
    good, bad = summary.products[-1], summary.products[-2]
    assert [entry.row.seed for entry in good.entries] == [0, 1]
    spread = good.figures["image_auroc"]
    assert (spread.n, spread.mean) == (2, pytest.approx(0.97))
    assert spread.std == pytest.approx(statistics.stdev([0.95, 0.99]))
    assert good.figures["pro"] is None
    assert (bad.figures["image_auroc"].n, bad.figures["image_auroc"].std) == (1, None)
    assert summary.products[0].figures == dict.fromkeys(FIGURES)
    assert [entry.row.name for entry in summary.failed] == ["broken, seed 0", "bad, seed 1"]


def test_csv_for_a_spreadsheet(summary):
    content = summary.to_csv(";")
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig")), delimiter=";"))
    assert [row["product"] for row in rows] == [product.name for product in summary.products]
    assert (rows[3]["rows"], rows[3]["finished"], rows[3]["failed"]) == ("2", "1", "1")
    assert (rows[4]["image_auroc mean"], rows[4]["image_auroc std"]) == ("0.970000", "0.028284")
    assert (rows[4]["pro mean"], rows[3]["image_auroc std"], rows[0]["image_auroc mean"]) == ("", "", "")


def test_json_has_every_row(summary):
    content = json.loads(json.dumps(summary.to_json(), allow_nan=False))
    rows = {(p["product"], row["seed"]): row for p in content["products"] for row in p["rows"]}
    assert set(rows) == {(entry.row.product, entry.row.seed) for entry in ENTRIES}
    assert rows["good", 0]["outcome"]["figures"]["image_auroc"] == 0.95
    assert rows["broken", 0]["failure"] == "1.png: cannot be read; remove it"
    assert (rows["later", 0]["outcome"], rows["later", 0]["failure"]) == (None, None)


def test_lines_for_a_terminal(summary):
    lines = list(summary.lines())
    assert lines[1].split() == ["broken", "0/1", "-", "-", "-"]
    assert lines[5].split() == ["good", "2/2", "97.0", "±", "2.8", "50.0", "±", "0.0", "-"]
    assert lines[6:] == ["failed: broken, seed 0: 1.png: cannot be read; remove it", "failed: bad, seed 1: no GPU"]
    many = Summary.of([entry(f"p{i}", 0, i / 100) for i in range(30)])
    assert list(many.lines())[-1] == "... and 10 better ones"
