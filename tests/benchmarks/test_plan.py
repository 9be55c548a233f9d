"""Plans expand as they say, the committed ones too, and a row is known by its settings."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from accuracy_tables import published
from plan import SIZES, Plan

from protores.errors import SettingsError

PLANS = Path(__file__).parents[2] / "benchmarks/plans"
SMALL = """
title = "Small"
seen = [0, 2]
seeds = [0, 1]
[data]
mvtec_ad = ["grid", "screw"]
magnetic_tile = []
[overrides]
training.steps = 100
split.calibration = 0.0
[variants.plain]
[variants.pair]
only = ["magnetic_tile"]
seen = [4]
presets = ["quick", "paper"]
seen_kinds = ["break", "fray"]
overrides.training.steps = 50
[reduced]
seeds = [0]
overrides.data.size = [64, 64]
overrides.training.steps = 10
variants.plain.says = "smaller"
"""


@pytest.fixture
def small(tmp_path):
    """small(size, text): the plan that such a file holds."""

    def read(size: str = "full", text: str = SMALL) -> Plan:
        (tmp_path / "small.toml").write_text(text)
        return Plan.read(tmp_path / "small.toml", size)

    return read


def test_rows_are_all_combinations_seed_by_seed(small):
    rows = small().rows()
    assert [row.name for row in rows[:8]] == [
        "mvtec_ad/grid/plain/standard/seen0/seed0",
        "mvtec_ad/grid/plain/standard/seen2/seed0",
        "mvtec_ad/screw/plain/standard/seen0/seed0",
        "mvtec_ad/screw/plain/standard/seen2/seed0",
        "magnetic_tile/plain/standard/seen0/seed0",
        "magnetic_tile/plain/standard/seen2/seed0",
        "magnetic_tile/pair/quick/seen4/seed0",
        "magnetic_tile/pair/paper/seen4/seed0",
    ]
    assert [row.name.replace("seed1", "seed0") for row in rows[8:]] == [row.name for row in rows[:8]]


def test_what_a_row_sets(small):
    plain, pair = (next(row for row in small().rows() if row.variant == name) for name in ("plain", "pair"))
    assert plain.settings().training.steps == 100
    assert plain.settings().split.seen_kinds is None
    settings = pair.settings("random", Path("dtd"))
    assert (settings.preset, settings.seed, settings.split.seen) == ("quick", 0, 4)
    assert settings.split.seen_kinds == ("break", "fray")
    assert settings.training.steps == 50
    assert settings.split.calibration == 0.0
    assert (settings.model.weights, settings.synthesis.textures) == ("random", Path("dtd"))
    assert settings.training.validate_every == 10


def test_pairs_of_kinds_are_judged_apart_in_every_training_of_that_product(small):
    apart = {row.product: row.apart for row in small().rows()}
    assert apart == {"mvtec_ad/grid": (), "mvtec_ad/screw": (), "magnetic_tile": (("break", "fray"),)}


def test_the_reduced_size_is_laid_over_the_plan(small):
    plan = small("reduced")
    assert plan.seeds == (0,)
    assert plan.variants["plain"].says == "smaller"
    assert plan.variants["pair"].seen == (4,)
    settings = plan.rows()[0].settings()
    assert (settings.data.size, settings.training.steps, settings.split.calibration) == ((64, 64), 10, 0.0)


def test_a_row_is_known_by_every_setting_and_by_nothing_of_this_machine(small, tmp_path):
    row = small().rows()[0]
    weights = [tmp_path / name for name in ("a.safetensors", "b.safetensors", "c.safetensors")]
    for path, content in zip(weights, (b"1", b"1", b"2"), strict=True):
        path.write_bytes(content)
    a, b, c = (row.key(str(path), Path("here/dtd")) for path in weights)
    assert a == b == row.key(str(weights[0]), Path("elsewhere/dtd"))
    others = [
        c,
        row.key(str(weights[0]), None),
        *(
            changed.key(str(weights[0]), Path("here/dtd"))
            for changed in (
                replace(row, product="magnetic_tile"),
                replace(row, masks="boxes"),
                replace(row, preset="quick"),
                replace(row, looks=3),
                replace(row, overrides={**row.overrides, "seed": 1}),
                replace(row, overrides={**row.overrides, "training.dice": 0.5}),
            )
        ),
    ]
    assert len({a, *others}) == 1 + len(others)


@pytest.mark.parametrize(
    ("old", "new", "cure"),
    [
        ("[data]", "sedes = [1]\n[data]", "sedes: Extra inputs are not permitted; see the top of benchmarks/plan.py"),
        ("title =", "#", "title: Field required"),
        ("seeds = [0, 1]", "seeds = []", "seeds"),
        ("[data]", "[data", "pass a plan of benchmarks/plans"),
        ('only = ["magnetic_tile"]', 'only = ["tile"]', "no such product: tile; name one of the plan's data"),
        ("seen = [4]", 'seen = ["some"]', "variants.pair.seen"),
        ("seen = [4]", 'masks = "torn"', "variants.pair.masks"),
    ],
)
def test_what_is_no_plan_is_one_line_that_helps(small, old, new, cure):
    with pytest.raises(SettingsError) as caught:
        small(text=SMALL.replace(old, new))
    assert cure in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("path", sorted(PLANS.glob("*.toml")), ids=lambda path: path.stem)
def test_committed_plans_expand_to_rows_whose_settings_load(path, size):
    plan = Plan.read(path, size)
    rows = plan.rows()
    assert rows
    assert len({row.name for row in rows}) == len({row.key("random", None) for row in rows}) == len(rows)
    for row in rows:
        settings = row.settings()
        assert settings.split.seen == row.seen
        assert json.dumps(row.placed("random", None))
    assert {figures["set"] for figures in published(plan.published)} == set(plan.published)


@pytest.mark.parametrize("path", sorted(PLANS.glob("*.toml")), ids=lambda path: path.stem)
def test_committed_reduced_plans_are_small(path):
    full, reduced = (Plan.read(path, size).rows() for size in SIZES)
    assert len(reduced) <= len(full)
    for row in reduced:
        settings = row.settings()
        assert settings.data.size[0] * settings.data.size[1] <= 320 * 128
        assert settings.training.steps <= 200


def test_the_papers_protocols():
    mvtec = Plan.read(PLANS / "mvtec_ad.toml")
    assert len(mvtec.products) == 15
    assert mvtec.seen == (10, 0)
    assert Plan.read(PLANS / "kolektor_sdd2.toml").seen == (246, 53, 16, 0)
    dagm = Plan.read(PLANS / "dagm.toml")
    assert (len(dagm.products), dagm.seen) == (10, ("all", 0))
    assert len(Plan.read(PLANS / "btad.toml").products) == 3


def test_the_papers_categories_give_its_means():
    plan = Plan.read(PLANS / "mvtec_ad.toml")
    paper = [f for f in published(plan.published) if f["method"] == "PRN, the paper"]
    whole, parts = paper[0], paper[1:]
    assert len(parts) == 15
    for metric in ("image_auroc", "pixel_auroc"):
        assert round(sum(f[metric] for f in parts) / 15, 1) == whole[metric]


def test_every_plan_has_its_place_in_the_docs():
    page = (PLANS.parents[1] / "docs/results.md").read_text()
    for path in PLANS.glob("*.toml"):
        assert page.count(f"<!-- accuracy:{path.stem} -->") == page.count(f"<!-- /accuracy:{path.stem} -->") == 1
