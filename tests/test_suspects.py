"""Good images that look like defects to a first training are named, and how far out they are."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from protores import cli, suspects, workflow
from protores.data.check import inspect
from protores.data.store import ImageStore
from protores.errors import RunError
from protores.model.prototypes import NO_SOURCE
from protores.model.scoring import score_images
from protores.progress import Progress
from protores.run import Run
from protores.settings import DataSettings
from protores.suspects import leave_one_out_scores, outlyingness, with_suspects

WEIGHTS = Path(__file__).parents[2] / "shared" / "weights" / "resnet18_tv_in1k_to_layer3.safetensors"


def test_how_far_out_follows_the_ordinary_scores(rng: np.random.Generator):
    odds = rng.normal(-4, 0.5, 200)
    odds[17] = -4 + 8 * 0.5
    far = outlyingness((1 / (1 + np.exp(-odds))).astype(np.float32))
    assert far.argmax() == 17
    assert far[17] == pytest.approx(8, rel=0.15)
    assert np.delete(far, 17).max() < suspects.FAR


def test_equal_or_few_scores_have_no_outlier():
    assert (outlyingness(np.full(30, 0.2, np.float32)) == 0).all()
    assert (outlyingness(np.array([0.1, 0.1, 0.9], np.float32)) == 0).all()
    assert np.isfinite(outlyingness(np.array([0.0] * 10 + [1.0], np.float32))).all()


@pytest.fixture
def trained(tiny_run: Path, tiny_product: Path):
    """The tiny run's network, its good training images, and where these stand among its prototypes' images."""
    run = Run(tiny_run)
    settings, split = run.read_settings(), run.read_split()
    samples = [s for s in inspect(tiny_product, DataSettings()).dataset.samples if s.is_good and s.part == "train"]
    store = ImageStore.build(samples, settings.data.size, False, 8)
    return run.load_network(settings), store, suspects.sources_of(store.records, split), settings, split


def test_sources_are_those_of_the_prototypes(trained):
    _, store, sources, _, split = trained
    paths = [split.entries[i].path for i in split.indices("train")]
    for record, source in zip(store.records, sources, strict=True):
        name = f"train/good/{record.sample.path.name}"
        assert (source == NO_SOURCE) == (name not in paths)
        assert source == NO_SOURCE or paths[source] == name


def test_without_a_source_scores_are_the_usual_ones(trained):
    network, store, sources, settings, _ = trained
    top = settings.model.score_top
    usual = score_images(network, store.images, top)[1]
    nowhere = leave_one_out_scores(network, store, np.full_like(sources, NO_SOURCE), top, Progress())
    np.testing.assert_allclose(nowhere, usual, rtol=1e-5)
    left_out = leave_one_out_scores(network, store, sources, top, Progress())
    assert (left_out[sources == NO_SOURCE] == nowhere[sources == NO_SOURCE]).all()
    assert (left_out != nowhere)[sources != NO_SOURCE].mean() > 0.9


def test_the_farthest_come_first_as_warnings(tiny_run: Path, tiny_product: Path, monkeypatch):
    scores = np.linspace(0.01, 0.012, 24).astype(np.float32)
    scores[5], scores[9] = 0.3, 0.9
    monkeypatch.setattr(suspects, "leave_one_out_scores", lambda *args: scores)
    found = with_suspects(inspect(tiny_product, DataSettings()), tiny_run)
    named = [problem for problem in found.problems if problem.rule == "suspect"]
    assert sum(problem.rule == "look-first" for problem in found.problems) == suspects.FIRST - 2
    assert [problem.paths[0].name for problem in named] == ["009.png", "005.png"]
    assert {problem.severity for problem in named} == {"warning"}
    assert "robust standard deviations above those of the other good images" in named[0].message
    assert not found.has_errors


def test_a_defect_planted_among_the_good_ranks_first(tiny: dict, tiny_product: Path, tmp_path: Path):
    data = shutil.copytree(tiny_product, tmp_path / "data")
    image = cv2.imread(str(data / "train/good/003.png"))
    cv2.ellipse(image, (30, 34), (14, 9), 30, 0, 360, (200, 210, 230), -1)
    cv2.imwrite(str(data / "train/good/planted.png"), image)
    changes = {"model.weights": str(WEIGHTS), "training.steps": 50, "split.calibration": 0.0}
    workflow.train(data, tmp_path / "run", "quick", tiny | changes)
    found = with_suspects(inspect(data, DataSettings()), tmp_path / "run")
    named = [problem for problem in found.problems if problem.rule in ("suspect", "look-first")]
    assert named[0].paths == (data / "train/good/planted.png",)


def test_a_run_of_other_images_is_refused(tiny_run: Path, mvtec_like: Path):
    with pytest.raises(RunError, match="trained on no good image of .*; pass the run that train made of it"):
        with_suspects(inspect(mvtec_like, DataSettings()), tiny_run)


@pytest.fixture
def mvtec_like(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Other good images."""
    folder = tmp_path / "other" / "good"
    folder.mkdir(parents=True)
    for i in range(10):
        cv2.imwrite(str(folder / f"{i}.png"), rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    return folder.parent


def test_the_command_names_them(tiny_run: Path, tiny_product: Path, monkeypatch, capsys):
    scores = np.full(24, 0.01, np.float32)
    scores[3] = 0.9
    monkeypatch.setattr(suspects, "leave_one_out_scores", lambda *args: scores)
    monkeypatch.setattr("sys.argv", ["protores", "check", str(tiny_product), "--run", str(tiny_run)])
    cli.app(standalone_mode=False)
    assert "train/good/003.png: looks like a defect: its score lies" in capsys.readouterr().out
