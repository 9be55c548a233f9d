"""The page is one file that stands for itself; what it says of a bundle and of a run."""

import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from protores.bundle.contract import Contract
from protores.data.splits import Split
from protores.data.uses import Uses
from protores.decision.calibration import calibrate
from protores.decision.request import Request
from protores.errors import ProtoresError
from protores.metrics.evaluation import Evaluation
from protores.report.page import report


def data_of(page: Path) -> dict:
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
    assert match
    return json.loads(match[1])


def test_it_needs_nothing_from_elsewhere(page):
    text = page.read_text("utf-8")
    assert set(re.findall(r"https?://[^\s\"'<>]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:)""", text)
    assert "default-src 'none'" in text
    assert "url(" not in text


def test_every_image_is_on_it(page, tiny_product):
    data = data_of(page)
    kinds = [image["kind"] for image in data["images"]]
    assert kinds.count("good") == 5
    assert len(kinds) == 20
    assert page.read_text("utf-8").count('class="card"') == 20
    assert {image["group"] for image in data["images"]} == {"good", "seen", "unseen"}
    assert data["thresholds"] == {"good_below": 0.97, "bad_above": 0.98}
    assert data["calibrated"]


def test_intervals_are_there_for_any_count(page):
    bounds = data_of(page)["bounds"]
    assert len(bounds["good"]["low"]) == len(bounds["good"]["high"]) == 6
    assert len(bounds["defects"]["low"]) == 16
    assert bounds["good"]["high"][0] == pytest.approx(1 - 0.025 ** (1 / 5), abs=1e-5)


def test_names_from_outside_are_text(board, tiny_product, tmp_path):
    data = shutil.copytree(tiny_product, tmp_path / "data")
    evil = "</script><img src=x onerror=alert(1)>'\".png".replace("/", "")
    (data / "test" / "scratch" / "000.png").rename(data / "test" / "scratch" / evil)
    masks = data / "ground_truth" / "scratch"
    (masks / "000_mask.png").rename(masks / f"{evil[:-4]}_mask.png")
    report(board, tmp_path / "report.html", data)
    text = (tmp_path / "report.html").read_text("utf-8")
    assert "<img src=x" not in text
    assert evil in {image["path"].split("/")[-1] for image in data_of(tmp_path / "report.html")["images"]}


def test_150_images_stay_below_10_mb(board, tmp_path, rng):
    data = tmp_path / "data"
    for folder, count in (("good", 100), ("bad", 50)):
        (data / folder).mkdir(parents=True)
        for number in range(count):
            noise = cv2.GaussianBlur(rng.integers(0, 256, (400, 400, 3), np.uint8), (0, 0), 0.7)
            (data / folder / f"{number}.png").write_bytes(cv2.imencode(".png", noise)[1].tobytes())
    report(board, tmp_path / "report.html", data)
    assert len(data_of(tmp_path / "report.html")["images"]) == 150
    assert (tmp_path / "report.html").stat().st_size < 10e6


def test_a_run_reports_on_its_test_images(tiny_run, tmp_path):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    figures = report(run, tmp_path / "out" / "report.html")
    assert isinstance(figures, Evaluation)
    known = json.loads((run / "metrics.json").read_text())
    for name in ("image_auroc", "image_ap", "pixel_auroc", "pro"):
        assert getattr(figures, name) == pytest.approx(known[name], abs=1e-4)
    text = (tmp_path / "out" / "report.html").read_text("utf-8")
    for fact in (known["split"], "settings", "machine", "MVTec AD layout", "training"):
        assert fact in text
    data = data_of(tmp_path / "out" / "report.html")
    assert not data["calibrated"]
    assert "what `protores calibrate` would set" in data["caveat"]
    assert not (run / "decision.json").exists()
    at = calibrate(run).decision
    assert data["thresholds"] == {"good_below": at.good_below, "bad_above": at.bad_above}


def test_a_bundle_needs_images(board, tmp_path):
    with pytest.raises(ProtoresError, match="name a folder by --data"):
        report(board, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_without_thresholds_a_bundle_says_what_its_are(make_bundle, tiny_product, tmp_path):
    report(make_bundle(size=(64, 64), bit_depth=8), tmp_path / "report.html", tiny_product)
    data = data_of(tmp_path / "report.html")
    assert not data["calibrated"]
    assert "picked on the images shown" in data["caveat"]


def test_images_that_trained_or_calibrated_are_left_out(board, tiny_product, tiny_run, tmp_path):
    split = Split.from_json((tiny_run / "split.json").read_text())
    (board / "images.json").write_text(Uses.of(split).to_json())
    contract = Contract.read(board).model_copy(update={"images": "images.json"})
    contract.with_files(board, "images.json").write(board)
    report(board, tmp_path / "report.html", tiny_product)
    assert len(data_of(tmp_path / "report.html")["images"]) == len(split.indices("test")) == 15
    assert "5 images that trained the model or picked its thresholds" in (tmp_path / "report.html").read_text("utf-8")


def test_images_that_picked_the_thresholds_are_left_out(board, tiny_product, tmp_path):
    calibrate(board, tiny_product)
    with pytest.raises(ProtoresError, match="trained or calibrated the model; name a folder of others"):
        report(board, tmp_path / "report.html", tiny_product)


def test_what_is_asked_for_is_what_is_aimed_at(board, tiny_product, tmp_path):
    calibrate(board, tiny_product, Request(max_false_alarm=0.3, max_miss=0.25))
    plain = tmp_path / "plain"
    (plain / "good").mkdir(parents=True)
    other = np.full((64, 64, 3), 77, np.uint8)
    (plain / "good" / "0.png").write_bytes(cv2.imencode(".png", other)[1].tobytes())
    report(board, tmp_path / "report.html", plain)
    goals = data_of(tmp_path / "report.html")["goals"]
    assert (goals["false_alarms"]["share"], goals["misses"]["share"]) == (0.3, 0.25)
