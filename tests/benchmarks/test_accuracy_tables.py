"""Tables against means and deviations worked out by hand."""

import pytest
from accuracy_tables import METRICS, PLANS, fill_docs, markdown, report, spread
from plan import Plan

from protores.files import write_json

TEXT = """
title = "By hand"
seen = [5]
seeds = [0, 1, 2]
published = ["btad"]
[data]
btad = ["01", "02"]
dagm = ["Class1"]
"""
PAIRS = """
title = "Pairs"
[data]
magnetic_tile = []
[variants.none]
seen = [0]
[variants.pair]
says = "two kinds"
seen_kinds = ["break", "fray"]
[variants.other]
seen_kinds = ["crack", "uneven"]
"""


def plan(tmp_path, text: str) -> Plan:
    (tmp_path / "hand.toml").write_text(text)
    return Plan.read(tmp_path / "hand.toml")


def figures(value: float | None, best: float | None = None, apart: dict[str, float] | None = None) -> dict:
    """As row.py writes them, each metric `value`."""
    return {
        "averaged_weights": dict.fromkeys(METRICS, value),
        "best_on_test": None if best is None else {"step": 10, **dict.fromkeys(METRICS, best)},
        "apart": {
            kinds: {"seen": dict.fromkeys(METRICS, seen), "unseen": dict.fromkeys(METRICS, seen - 0.1)}
            for kinds, seen in (apart or {}).items()
        },
        "training_seconds": 10.0,
        "trained_parameters": 1_500_000,
        "gflop": 2.5,
        "steps": 20,
        "input": [64, 64],
        "machine": {"gpu": None, "threads": 2, "processor": "a processor"},
    }


@pytest.fixture
def found(tmp_path) -> dict:
    """01: 0.90, 0.92, 0.97; 02: 0.80, 0.84, not run; Class1: undefined, failed, not run. Best looks are 0.02 higher."""
    values = {"btad/01": (0.90, 0.92, 0.97), "btad/02": (0.80, 0.84, None), "dagm/Class1": (0.0, None, None)}
    rows = []
    for row in plan(tmp_path, TEXT).rows():
        value = values[row.product][row.seed]
        undefined = row.product.startswith("dagm")
        own = None if value is None else figures(None) if undefined else figures(value, value + 0.02)
        rows.append((row, own))
    return report(plan(tmp_path, TEXT), rows, {"dagm/Class1/standard/seen5/seed1": "protores: no such folder"})


def test_mean_and_sample_deviation():
    assert spread([0.90, 0.92, 0.97]) == {
        "n": 3,
        "mean": pytest.approx(0.93),
        "std": pytest.approx(((0.03**2 + 0.01**2 + 0.04**2) / 2) ** 0.5),
    }
    assert spread([0.5]) == {"n": 1, "mean": 0.5, "std": None}
    assert spread([0.5, None]) is None
    assert spread([]) is None


def test_a_line_per_product_and_a_mean_over_the_seeds_that_are_whole(found):
    lines = {line["product"]: line for line in found["table"]}
    assert list(lines) == ["btad/01", "btad/02", "dagm/Class1", "btad, mean of 2"]
    assert [line["n"] for line in lines.values()] == [3, 2, 1, 2]
    assert lines["btad/02"]["averaged_weights"]["pro"]["mean"] == pytest.approx(0.82)
    # Seed 0: (0.90 + 0.80) / 2 = 0.85; seed 1: (0.92 + 0.84) / 2 = 0.88; seed 2 lacks a category.
    mean = lines["btad, mean of 2"]["averaged_weights"]["pixel_ap"]
    assert mean["mean"] == pytest.approx(0.865)
    assert mean["std"] == pytest.approx(0.03 / 2**0.5)
    assert lines["dagm/Class1"]["averaged_weights"]["pixel_ap"] is None


def test_the_best_look_is_kept_apart_from_our_figures(found):
    line = found["table"][0]
    assert line["averaged_weights"]["image_auroc"]["mean"] == pytest.approx(0.93)
    assert line["best_on_test"]["image_auroc"]["mean"] == pytest.approx(0.95)
    ours, _, best = markdown(found).partition("`best_on_test`")
    assert "| btad/01 | 3 | 93.0 ± 3.6 |" in ours
    assert "95.0" not in ours
    assert "picked on the test images" in best
    assert "| btad/01 | 3 | 95.0 ± 3.6 |" in best


def test_what_the_page_says(found):
    page = markdown(found)
    assert "mean ± standard deviation over n seeds" in page
    assert "| dagm/Class1 | 1 | - | - | - | - | - | 10 | 1.50 | 2.5 |" in page
    assert "Input 64 x 64; 20 steps; on 2 cores of a processor." in page
    assert "| btad | RealNet | 0 | 96.1 |  | 97.9 |  |  | Zhang et al., CVPR 2024 |" in page
    assert "Not finished: 1 failed, 2 not run." in page
    assert "- dagm/Class1/standard/seen5/seed1: protores: no such folder" in page
    assert "Reduced size" not in page
    assert "Reduced size" in markdown({**found, "size": "reduced"})


def test_every_row_is_kept_whole(found):
    assert len(found["rows"]) == 6
    assert found["rows"][0]["overrides"] == {"seed": 0, "split.seen": 5}
    assert found["rows"][0]["averaged_weights"]["pro"] == 0.90


def test_seen_and_unseen_kinds_apart_in_the_training_that_saw_them_and_in_those_that_did_not_choose(tmp_path):
    pairs = plan(tmp_path, PAIRS)
    values = {"none": 0.7, "pair": 0.9, "other": 0.8}
    rows = [
        (row, figures(0.5, apart={"break,fray": values[row.variant], "crack,uneven": values[row.variant] - 0.2}))
        for row in pairs.rows()
    ]
    found = report(pairs, rows, {})
    assert [(line["variant"], line["kinds"][0]) for line in found["apart"]] == [
        ("none", "break"),
        ("pair", "break"),
        ("none", "crack"),
        ("other", "crack"),
    ]
    assert [round(line["judged"]["unseen"]["pixel_ap"]["mean"], 3) for line in found["apart"]] == [0.6, 0.8, 0.4, 0.5]
    page = markdown(found)
    assert "| magnetic_tile | break, fray | pair | 10 | 3 | 90.0 ± 0.0 |" in page
    assert "| magnetic_tile | not break, fray | none | 0 | 3 | 60.0 ± 0.0 |" in page
    assert "- pair: two kinds" in page


def test_a_page_is_filled_between_its_markers_and_twice_is_once(found, tmp_path):
    """A plan that nobody has run yet has the published figures at least."""
    page, results = tmp_path / "results.md", tmp_path / "results"
    results.mkdir()
    hand = "<!-- accuracy:hand -->\n-old-\n<!-- /accuracy:hand -->"
    page.write_text(f"a\n{hand}\nb\n<!-- accuracy:dagm --><!-- /accuracy:dagm -->\n")
    write_json(results / "accuracy_hand_full.json", {"figures": found})
    fill_docs(page, results)
    once = page.read_text()
    assert once.startswith("a\n<!-- accuracy:hand -->\n**By hand**")
    assert "-old-" not in once
    assert "<!-- /accuracy:hand -->\nb\n<!-- accuracy:dagm -->\n**DAGM 2007** (`benchmarks/plans/dagm" in once
    assert "No run at full size is recorded yet." in once
    assert "| dagm | DRAEM | 0 | 99.0 |" in once
    write_json(results / "accuracy_dagm_reduced.json", {"figures": {**found, "size": "reduced"}})
    fill_docs(page, results)
    both = page.read_text()
    assert both.index("| dagm | DRAEM | 0 | 99.0 |") < both.index("Reduced size, for CPUs")
    (results / "accuracy_dagm_reduced.json").unlink()
    fill_docs(page, results)
    assert page.read_text() == once


def test_the_docs_are_what_the_results_give(tmp_path):
    root = PLANS.parents[1]
    page = tmp_path / "results.md"
    page.write_text((root / "docs/results.md").read_text())
    fill_docs(page, root / "benchmarks/results")
    assert page.read_text() == (root / "docs/results.md").read_text()
