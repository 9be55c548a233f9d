"""The score in numpy is that of model/scoring.py in torch."""

import numpy as np
import pytest
import torch

from protores.model import scoring
from protores.runtime.score import image_score


@pytest.mark.parametrize("top", [1e-6, 100 / 65536, 0.3, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (256, 256)])
def test_as_in_torch(rng, size, top):
    anomaly_map = rng.random(size, np.float32).round(2)
    expected = scoring.image_score(torch.from_numpy(anomaly_map[None]), top).item()
    assert image_score(anomaly_map, top) == pytest.approx(expected, abs=1e-6)


def test_of_a_part_of_a_map(rng):
    anomaly_map = rng.random((40, 40), np.float32)
    assert image_score(anomaly_map[3:9, 4:8], 1 / 24) == anomaly_map[3:9, 4:8].max()


def test_not_a_number_is_told():
    anomaly_map = np.full((4, 4), np.nan, np.float32)
    anomaly_map[1] = 0.5
    assert np.isnan(image_score(anomaly_map, 0.1))
