"""Thresholds of a run and of a bundle, from images that trained nothing and tested nothing."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from protores.bundle.contract import Contract
from protores.data.splits import Split
from protores.data.uses import Uses
from protores.decision.calibration import OWN, calibrate
from protores.decision.request import Request
from protores.errors import ProtoresError
from protores.run import Run
from protores.runtime import Inspector


def decision_of(run: Run) -> tuple:
    settings = run.read_settings()
    return run.read_decision(settings, settings.products[0])


@pytest.fixture
def board(make_bundle) -> Path:
    """A bundle for the toy product; its network is a convolution, its scores are what they are."""
    return make_bundle(size=(64, 64), bit_depth=8, map_threshold=0.5)


@pytest.fixture
def run(tiny_run, tmp_path) -> Path:
    return shutil.copytree(tiny_run, tmp_path / "run")


def images_of(product: Path, defects: bool) -> list[str]:
    found = [path for path in sorted(product.rglob("*.png")) if "ground_truth" not in path.parts]
    return [str(path) for path in found if ("good" in path.parts) != defects]


def write_mask(path: Path, *boxes: tuple[slice, slice]) -> Path:
    mask = np.zeros((64, 64), np.uint8)
    for box in boxes:
        mask[box] = 255
    path.write_bytes(cv2.imencode(".png", mask)[1].tobytes())
    return path


def test_a_bundle_gets_its_thresholds_from_images(board, tiny_product):
    calibration = calibrate(board, tiny_product, Request(max_false_alarm=0.3))
    decision = Contract.read(board).decision
    assert decision == calibration.decision
    inspector = Inspector(board)
    outcomes = [r.verdict.outcome for r in inspector(images_of(tiny_product, defects=False))]
    assert (calibration.good, calibration.defective) == (29, 15)
    assert outcomes.count("bad") == calibration.point.false_alarms.errors > 0
    missed = [r.verdict.outcome for r in inspector(images_of(tiny_product, defects=True))].count("good")
    assert missed == calibration.point.misses.errors
    record = decision.calibration
    assert record["asked"] == {"max_false_alarm": 0.3}
    assert (record["good"], record["defective"], record["source"]) == (29, 15, "board")
    assert record["false_alarms"]["method"] == "split conformal"
    assert record["misses"]["method"] == "exact binomial"
    assert len(record["images"].split()) == 44


def test_what_trained_or_was_tested_on_is_left_out_of_a_bundle(board, tiny_product, tiny_run):
    contract = Contract.read(board)
    split = Split.from_json((tiny_run / "split.json").read_text())
    (board / "images.json").write_text(Uses.of(split).to_json())
    contract.model_copy(update={"images": "images.json"}).with_files(board, "images.json").write(board)
    calibration = calibrate(board, tiny_product)
    assert calibration.good == len(split.indices("calibration")) == 2
    assert calibration.defective == 0
    assert any("left out" in note for note in calibration.notes)


def test_a_run_has_a_calibration_part_of_its_own(run):
    calibration = calibrate(run)
    assert (calibration.source, calibration.good, calibration.defective) == (OWN, 2, 0)
    decision, _, _ = decision_of(Run(run))
    assert decision.good_below == calibration.decision.good_below == decision.bad_above
    assert decision.map_threshold == Run(run).read_metrics()["map_threshold"]
    text = "\n".join(calibration.lines())
    assert "misses          unknown" in text
    assert "too few images: 2 good ones can promise false alarms of at most 84.2 %" in text
    assert "not 2.0 %; that takes 183" in text


def test_its_own_data_give_a_run_the_same(run, tiny_product):
    assert calibrate(run, tiny_product).point == calibrate(run).point


def test_an_image_that_changed_since_training_is_refused(tiny_product, tiny_run, tmp_path):
    data, run = shutil.copytree(tiny_product, tmp_path / "board"), shutil.copytree(tiny_run, tmp_path / "run")
    settings = json.loads((run / "settings.json").read_text())
    settings["data"]["root"] = str(data)
    (run / "settings.json").write_text(json.dumps(settings))
    split = Split.from_json((run / "split.json").read_text())
    own = data / next(entry.path for entry in split.entries if entry.role == "calibration")
    shutil.copy(data / "test" / "scratch" / "000.png", own)
    with pytest.raises(ProtoresError, match="changed since training; restore it"):
        calibrate(run)
    shutil.rmtree(data)
    with pytest.raises(ProtoresError, match="any more; name a folder by --data"):
        calibrate(run)


def test_images_that_all_trained_or_tested_are_refused(run, tiny_product, tmp_path):
    for part in ("test", "ground_truth"):
        shutil.copytree(tiny_product / part, tmp_path / "data" / part)
    shutil.copytree(tiny_product / "test" / "good", tmp_path / "data" / "train" / "good")
    before = (run / "decision.json").exists()
    with pytest.raises(ProtoresError, match="name a folder of others by --data"):
        calibrate(run, tmp_path / "data")
    assert (run / "decision.json").exists() == before


def test_copies_count_once(board, tiny_product, tmp_path):
    data = shutil.copytree(tiny_product, tmp_path / "board")
    first = data / "train" / "good" / "000.png"
    for name in ("900.png", "901.png"):
        shutil.copy(first, first.with_name(name))
    calibration = calibrate(board, data)
    assert calibration.good == 29
    assert "2 exact copies of other images were left out" in calibration.notes


def test_a_bundle_without_images_is_refused(board):
    with pytest.raises(ProtoresError, match="name a folder by --data"):
        calibrate(board)


def test_thresholds_by_hand_with_and_without_images(board, tiny_product):
    by_hand = Request(good_below=0.6, bad_above=0.8)
    assert calibrate(board, request=by_hand).point is None
    decision = Contract.read(board).decision
    assert (decision.good_below, decision.bad_above, decision.calibration) == (0.6, 0.8, None)
    point = calibrate(board, tiny_product, by_hand).point
    assert point.false_alarms.method == point.misses.method == "exact binomial"
    assert point.thresholds.good_below == 0.6


def test_costs(board, tiny_product):
    calibration = calibrate(board, tiny_product, Request(cost_miss=50, cost_false_alarm=1))
    assert calibration.point.false_alarms.images + calibration.point.misses.images == 14 + 7
    assert Contract.read(board).decision.calibration["asked"] == {"cost_miss": 50, "cost_false_alarm": 1}
    assert any("34.1 %, stands for that of production" in note for note in calibration.notes)


def test_what_weakens_the_rates_is_said(board, run, tiny_product):
    assert any("does not tell which images trained" in note for note in calibrate(board, tiny_product).notes)
    assert not calibrate(run).notes
    small = Request(max_false_alarm=0.1, min_area=3)
    assert any("picked on these images too" in note for note in calibrate(run, request=small).notes)


def test_masks_and_areas_change_without_thresholds(board, tmp_path):
    calibrate(board, request=Request(good_below=0.6, bad_above=0.8))
    ignore = write_mask(tmp_path / "masks.png", np.s_[:32])
    told = calibrate(board, request=Request(ignore=ignore, min_area=2.5, mm_per_px=0.5))
    assert "calibrate with images" in told.lines()[0]
    decision = Contract.read(board).decision
    assert (decision.good_below, decision.min_area, decision.unit, decision.mm_per_px) == (0.6, 2.5, "mm2", 0.5)
    white = np.full((64, 64, 3), 200, np.uint8)
    result = Inspector(board)(white)
    assert (result.map[:31] == 0).all()
    assert result.map[33:].any()
    first = decision.ignore
    calibrate(board, request=Request(ignore=write_mask(tmp_path / "other.png", np.s_[:8]), roi=ignore))
    decision = Contract.read(board).decision
    assert decision.ignore != first
    assert sorted(p.name for p in board.glob("*.png")) == sorted([decision.ignore, decision.roi])
    result = Inspector(board)(white)
    assert (result.map[:7] == 0).all()
    assert (result.map[33:] == 0).all()
    assert result.map[9:31].any()


def test_a_scale_alone_does_not_turn_pixels_into_mm2(board):
    for request, area in (
        (Request(min_area=20), (20, "px", None)),
        (Request(mm_per_px=0.1), (20, "px", 0.1)),
        (Request(min_area=0.3), (0.3, "mm2", 0.1)),
    ):
        calibrate(board, request=request)
        decision = Contract.read(board).decision
        assert (decision.min_area, decision.unit, decision.mm_per_px) == area


def test_a_run_keeps_its_masks(run, tmp_path):
    calibrate(run, request=Request(roi=write_mask(tmp_path / "roi.png", np.s_[16:48, 16:48])))
    decision, ignore, roi = decision_of(Run(run))
    assert ignore is None
    assert roi.sum() == 32 * 32
    assert json.loads((run / "decision.json").read_text())["roi"] == decision.roi


def test_regions_too_small_do_not_count_in_the_score(make_bundle):
    image = np.zeros((64, 64, 3), np.uint8)
    inspector = Inspector(make_bundle(size=(64, 64), bit_depth=8, top=1e-4))
    background = inspector(image).network_map
    image[30:32, 30:32] = 255
    spot = np.abs(inspector(image).network_map - background) > 1e-3
    level = float(background[~spot].max()) + 1e-4
    outlined = inspector(image).network_map >= level
    assert outlined.any()
    scores = {}
    for least in (1, int(outlined.sum()) + 1):
        decision = {"map_threshold": level, "min_area": float(least)}
        result = Inspector(make_bundle(size=(64, 64), bit_depth=8, top=1e-4, name=f"least-{least}", **decision))(image)
        scores[bool(result.regions)] = result.score
    assert scores[False] < level <= scores[True]


def test_a_smallest_area_needs_outlines(make_bundle):
    with pytest.raises(ProtoresError, match="pass --map-threshold"):
        calibrate(make_bundle(), request=Request(min_area=5))


def test_saving_nothing_when_only_asked(board, tiny_product):
    before = (board / "contract.json").read_bytes()
    assert calibrate(board, tiny_product, save=False).point is not None
    assert (board / "contract.json").read_bytes() == before


def test_a_decision_that_is_none_is_an_error(run):
    (run / "decision.json").write_text('{"good_below": 0.4}')
    with pytest.raises(ProtoresError, match="delete it and run `protores calibrate` again"):
        calibrate(run)
