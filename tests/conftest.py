"""A toy product small enough to train on in seconds, drawn once for the whole suite."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from protores import toy

SHARED = Path(__file__).parents[2] / "shared"
TINY = {
    "model.weights": "random",
    "data.size": (64, 64),
    "training.steps": 6,
    "training.minutes": None,
    "training.batch_size": 8,
    "training.validate_every": 3,
    "training.threads": 1,
    "training.precision": "f32",
    "split.seen": 5,
}


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_product(tmp_path_factory) -> Path:
    """24 good images and 5 + 5 x 3 test images of 64 x 64, in MVTec AD's layout. Not to be changed."""
    return toy.draw(
        tmp_path_factory.mktemp("toy") / "board", good=24, test_good=5, defects_per_kind=3, size=64
    )


@pytest.fixture(scope="session")
def tiny() -> dict[str, Any]:
    """Settings that train on it in a second or two. Not to be changed."""
    return TINY


@pytest.fixture(scope="session")
def tiny_run(tiny_product, tmp_path_factory) -> Path:
    """A run trained on it, once. Not to be changed."""
    from protores import workflow

    out = tmp_path_factory.mktemp("runs") / "tiny"
    workflow.train(tiny_product, out, "quick", TINY)
    return out


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
