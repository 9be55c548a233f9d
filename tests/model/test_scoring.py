"""Scores from maps, and maps from images."""

import numpy as np
import torch

from protores.model.network import build_network
from protores.model.scoring import image_score, score_images
from protores.presets import load


def test_image_score_is_the_mean_of_the_highest_pixels():
    maps = torch.rand(3, 16, 16)
    expected = np.sort(maps.flatten(1).numpy(), axis=1)[:, -10:].mean(1)
    np.testing.assert_allclose(image_score(maps, 10 / 256).numpy(), expected, rtol=1e-6)


def test_image_score_takes_at_least_one_pixel():
    maps = torch.rand(2, 4, 4)
    assert torch.equal(image_score(maps, 1e-9), maps.flatten(1).max(1).values)


def test_maps_are_probabilities_whatever_the_batch_size_and_zero_where_nothing_counts():
    settings = load("standard", {"model.weights": "random"})
    network = build_network(settings.model, (64, 64), 4, 2)
    images = np.random.default_rng(0).integers(0, 255, (5, 64, 64, 3), np.uint8)
    network.residuals.prototypes.fit(network.backbone(torch.rand(4, 3, 64, 64)), seed=0)
    valid = np.ones((5, 64, 64), bool)
    valid[:, :8] = False
    maps, scores = score_images(network, images, 0.01, valid, batch_size=2)
    again, _ = score_images(network, images, 0.01, batch_size=5)
    assert maps.min() >= 0
    assert maps.max() <= 1
    assert not maps[:, :8].any()
    np.testing.assert_allclose(maps[:, 8:], again[:, 8:], atol=1e-4)
    np.testing.assert_allclose(scores, image_score(torch.from_numpy(maps), 0.01), rtol=1e-5)


def test_no_images_no_maps():
    settings = load("standard", {"model.weights": "random"})
    network = build_network(settings.model, (64, 64), 4, 2)
    maps, scores = score_images(network, np.zeros((0, 64, 64, 3), np.uint8), 0.01)
    assert maps.shape == (0, 64, 64)
    assert scores.shape == (0,)
