"""A GPU with too little memory, played on a CPU: fewer images at once, and an error with its cure at the end."""

import json

import numpy as np
import pytest
import torch

from protores import workflow
from protores.errors import RunError
from protores.memory import fitting
from protores.model.network import PRN
from protores.model.scoring import score_images
from protores.progress import Progress
from protores.run import Run
from protores.training.module import PRNTraining


class Told(Progress):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, line: str) -> None:
        self.notes.append(line)


def room_for(most: int):
    """room_for(n)(images): as a GPU that takes n images at once and no more."""

    def take(images: int) -> int:
        if images > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return images

    return take


@pytest.mark.parametrize(("most", "found", "notes"), [(100, 16, 0), (16, 16, 0), (15, 8, 1), (3, 2, 3), (1, 1, 4)])
def test_half_as_many_until_they_fit(most, found, notes):
    told: list[str] = []
    assert fitting(16, room_for(most), told=told.append) == found
    assert len(told) == notes
    assert told[:1] == ["out of GPU memory with 16 images at once; going on with 8"][:notes]


def test_where_the_fewest_are_too_many_it_is_an_error_with_a_cure():
    with pytest.raises(RunError, match="with 4 images at once; close what else uses it, lower data.size, or work"):
        fitting(16, room_for(3), least=4)


def test_other_errors_pass():
    with pytest.raises(ZeroDivisionError):
        fitting(16, lambda images: images / 0)


@pytest.fixture
def small_gpu(monkeypatch):
    """small_gpu(n): the network takes n images at once, in training and in judging, and no more."""

    def arrange(most: int) -> None:
        step, judge = PRNTraining.training_step, PRN.anomaly_map

        def training_step(self, batch, *rest):
            room_for(most)(len(batch.images))
            return step(self, batch, *rest)

        def anomaly_map(self, images):
            room_for(most)(len(images))
            return judge(self, images)

        monkeypatch.setattr(PRNTraining, "training_step", training_step)
        monkeypatch.setattr(PRN, "anomaly_map", anomaly_map)

    return arrange


def test_training_goes_on_with_half_the_batch_and_says_so(tiny, tiny_product, tmp_path, small_gpu):
    """As if the user had asked for that batch."""
    small_gpu(4)
    told = Told()
    workflow.train(tiny_product, tmp_path / "small", "quick", tiny, progress=told)
    assert [note for note in told.notes if "memory" in note] == [
        "out of GPU memory with 8 images at once; going on with 4"
    ]
    workflow.train(tiny_product, tmp_path / "asked", "quick", tiny | {"training.batch_size": 4})
    assert json.loads((tmp_path / "small" / "metrics.json").read_text())["batch_size"] == 4
    assert Run(tmp_path / "small").model.read_bytes() == Run(tmp_path / "asked").model.read_bytes()


def test_where_two_images_are_too_many_for_training_the_run_can_go_on_elsewhere(
    tiny, tiny_product, tiny_run, tmp_path, small_gpu, monkeypatch
):
    small_gpu(1)
    with pytest.raises(RunError, match="out of GPU memory with 2 images at once; close what else uses it"):
        workflow.train(tiny_product, tmp_path / "run", "quick", tiny)
    monkeypatch.undo()
    workflow.train(tiny_product, tmp_path / "run", "quick", tiny, resume=True)
    assert Run(tmp_path / "run").model.read_bytes() == Run(tiny_run).model.read_bytes()


def test_judging_in_smaller_parts_gives_the_same(tiny_run, small_gpu, rng):
    run = Run(tiny_run)
    network = run.load_network(run.read_settings())
    images = rng.integers(0, 256, (9, 64, 64, 3), dtype=np.uint8)
    whole = score_images(network, images, 0.01)
    small_gpu(2)
    parts = score_images(network, images, 0.01)
    np.testing.assert_allclose(parts[0], whole[0], atol=1e-5)
    np.testing.assert_allclose(parts[1], whole[1], atol=1e-5)
