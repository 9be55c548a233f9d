"""One network for several products, from images to verdicts: each keeps its own prototypes, thresholds and figures."""

import json
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from protores import Inspector, toy, workflow
from protores.bundle.contract import Contract, Decision
from protores.cli import main
from protores.decision.calibration import calibrate
from protores.decision.request import Request
from protores.errors import BundleError, ProtoresError, RunError, SettingsError
from protores.inspection import open_inspector
from protores.products import product_folders
from protores.report.page import report
from protores.runtime.verify import verify
from protores.runtime.view import Tiling
from protores.station.live import LiveModel
from protores.subject import Subject

NAMES = ("board", "negative")
MULTI = {"split.seen": 4, "data.cache": "none"}


@pytest.fixture(scope="module")
def plant(tmp_path_factory) -> Path:
    """A board, and another one in negative."""
    home = tmp_path_factory.mktemp("plant")
    for name, images in zip(NAMES, (14, 10), strict=True):
        toy.draw(home / name, good=images, test_good=3, defects_per_kind=2, size=64)
    for path in (home / NAMES[1]).rglob("*.png"):
        if "ground_truth" not in path.parts:
            cv2.imwrite(str(path), 255 - cv2.imread(str(path)))
    return home


@pytest.fixture(scope="module")
def run(plant, tiny, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "multi"
    workflow.train(product_folders([plant]), out, "quick", tiny | MULTI)
    return out


@pytest.fixture(scope="module")
def bundle(run, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("bundles") / "multi"
    workflow.export(run, out)
    return out


def images_of_test(plant: Path, name: str) -> list[str]:
    return [str(path) for path in sorted((plant / name / "test").rglob("*.png"))]


def test_metrics_have_each_product_s_figures_and_their_mean(run):
    metrics = json.loads((run / "metrics.json").read_text())
    assert tuple(metrics["products"]) == NAMES
    assert metrics["recognised"] == dict.fromkeys(NAMES, 1.0)
    assert set(metrics["map_thresholds"]) == set(NAMES)
    for name in ("image_auroc", "pixel_ap", "pro"):
        assert metrics[name] == pytest.approx(np.mean([own[name] for own in metrics["products"].values()]))
    assert {kind.split("/")[0] for kind in metrics["kinds"]} == set(NAMES)


def test_prototypes_of_a_product_are_those_it_would_have_alone(run, plant, tiny, tmp_path):
    """The backbone is frozen and starts from the seed."""
    workflow.train(plant / NAMES[1], tmp_path / "alone", "quick", tiny | MULTI)
    alone, both = load_file(tmp_path / "alone" / "model.safetensors"), load_file(run / "model.safetensors")
    own = {name: tensor for name, tensor in alone.items() if name.startswith("residuals.")}
    assert len(own) == 12
    for name, tensor in own.items():  # features come in other batches, whose last bits may differ
        found = both[name.replace("residuals.", "residuals.products.1.")]
        torch.testing.assert_close(found, tensor, rtol=2e-3, atol=2e-3)


def test_judging_again_gives_the_same_figures(run):
    before = json.loads((run / "metrics.json").read_text())
    figures = workflow.evaluate(run)
    assert json.loads(json.dumps(figures.to_dict())).items() <= before.items()
    assert json.loads((run / "metrics.json").read_text()) == before


def test_a_run_goes_on_with_its_own_products_alone(run, plant, tiny):
    again = workflow.train(product_folders([plant]), run, "quick", tiny | MULTI, resume=True)
    assert set(again.products) == set(NAMES)
    with pytest.raises(SettingsError, match="other settings"):
        workflow.train(plant / NAMES[0], run, "quick", tiny | MULTI, resume=True)
    with pytest.raises(RunError, match="exists already"):
        workflow.train(product_folders([plant]), run, "quick", tiny | MULTI)


def test_the_contract_names_the_products_and_their_thresholds(bundle, run):
    contract = Contract.read(bundle)
    assert contract.version == 2
    assert tuple(product.name for product in contract.products) == NAMES
    thresholds = json.loads((run / "metrics.json").read_text())["map_thresholds"]
    assert {one.name: one.decision.map_threshold for one in contract.products} == thresholds
    assert {sample.product for sample in contract.golden.samples} == set(NAMES)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_bundle_gives_what_the_run_gives_and_names_the_product(bundle, run, plant, runtime):
    assert verify(bundle, runtime).passed
    inspector, torch_s = Inspector(bundle, runtime, 1), open_inspector(run)
    for name in NAMES:
        paths = images_of_test(plant, name)
        for found, wanted in zip(inspector(paths), torch_s(paths), strict=True):
            assert found.product == wanted.product == name == found.to_dict()["product"]
            np.testing.assert_allclose(found.network_map, wanted.network_map, atol=1e-4)


def test_bf16_recognises_them_too(run, tmp_path):
    contract = workflow.export(run, tmp_path / "bundle", "openvino", "bf16")
    assert contract.model.precision == "bf16"
    assert verify(tmp_path / "bundle").passed


def test_verify_fails_where_a_golden_sample_is_taken_for_another_product(bundle, tmp_path):
    other = shutil.copytree(bundle, tmp_path / "bundle")
    contract = json.loads((other / "contract.json").read_text())
    sample = contract["golden"]["samples"][0]
    sample["product"] = NAMES[1]
    (other / "contract.json").write_text(json.dumps(contract))
    found = verify(other, "onnxruntime")
    assert not found.passed
    assert f"FAIL  {sample['image']}  is taken for {NAMES[0]}" in list(found.lines())


def test_each_image_is_decided_by_the_thresholds_of_its_product(bundle, plant, tmp_path):
    other = shutil.copytree(bundle, tmp_path / "bundle")
    contract = Contract.read(other)
    strict, lax = Decision(good_below=0.0, bad_above=0.0), Decision(good_below=1.0, bad_above=1.0)
    products = tuple(
        one.model_copy(update={"decision": decision})
        for one, decision in zip(contract.products, (strict, lax), strict=True)
    )
    contract.model_copy(update={"products": products}).write(other)
    lines = workflow.predict(other, [str(plant / name / "test") for name in NAMES], tmp_path / "found")
    verdicts = {(line.product, line.verdict) for line in lines}
    assert verdicts == {(NAMES[0], "bad"), (NAMES[1], "good")}
    written = [json.loads(line) for line in (tmp_path / "found" / "predictions.jsonl").read_text().splitlines()]
    assert [line["product"] for line in written] == [line.product for line in lines]


def test_tiles_of_an_image_are_of_one_product(bundle, plant):
    large = cv2.resize(cv2.imread(images_of_test(plant, NAMES[1])[0])[..., ::-1], (128, 128))
    assert Inspector(bundle, "onnxruntime", 1, Tiling(0.25))(large).product in NAMES


def test_each_product_of_a_run_is_calibrated_and_reported_on_by_itself(run, tmp_path):
    source = shutil.copytree(run, tmp_path / "run")
    for name in NAMES:
        decisions = {other: Subject.open(source, other).decision for other in NAMES}
        found = calibrate(source, product=name)
        assert found.good > 0
        assert found.decision.good_below is not None
        assert {other: Subject.open(source, other).decision for other in NAMES} == decisions | {name: found.decision}
    figures = report(source, tmp_path / "report.html", product=NAMES[1])
    assert figures.counts.kinds == workflow.evaluate(source).products[NAMES[1]].counts.kinds
    assert f">{NAMES[1]}<" in (tmp_path / "report.html").read_text("utf-8")


def test_each_product_of_a_bundle_is_decided_by_itself(bundle, tmp_path):
    source = shutil.copytree(bundle, tmp_path / "bundle")
    for name, threshold in zip(NAMES, (0.25, 0.75), strict=True):
        calibrate(source, None, Request(good_below=threshold, bad_above=threshold), product=name)
    assert [one.decision.good_below for one in Contract.read(source).products] == [0.25, 0.75]


def test_masks_of_one_product_stay_when_another_s_change(run, tmp_path):
    source = shutil.copytree(run, tmp_path / "run")
    for name, side in zip(NAMES, (8, 16), strict=True):
        mask = np.zeros((64, 64), np.uint8)
        mask[:side] = 255
        cv2.imwrite(str(tmp_path / f"{name}.png"), mask)
        calibrate(source, None, Request(ignore=tmp_path / f"{name}.png"), product=name)
    masks = [Subject.open(source, name).procedure.masks[0] for name in NAMES]
    assert [int(mask.sum()) for mask in masks] == [8 * 64, 16 * 64]
    calibrate(source, None, Request(ignore=tmp_path / f"{NAMES[0]}.png"), product=NAMES[1])
    assert len(list(source.glob("ignore*.png"))) == 1


def test_what_needs_one_product_says_so_in_one_line(bundle, run, tmp_path, plant):
    for source in (bundle, run):
        with pytest.raises(ProtoresError, match="several products; name one of board, negative by --product"):
            Subject.open(source)
        with pytest.raises(ProtoresError, match="no product lid; name one of"):
            Subject.open(source, "lid")
    with pytest.raises(BundleError, match="several products"):
        LiveModel(bundle)
    with pytest.raises(SettingsError, match="several products"):
        workflow.evaluate(run, plant / NAMES[0])


def test_the_command_asks_for_multi(plant, tmp_path, capsys, monkeypatch):
    folders = [str(plant / name) for name in NAMES]
    monkeypatch.setattr(sys, "argv", ["protores", "train", *folders, "--out", str(tmp_path / "run")])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert "pass --multi" in capsys.readouterr().err
