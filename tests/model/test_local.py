"""Local prototypes against scikit-learn's K-means and brute force, and what turning and shifting an image changes."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from protores.model.local import ROUNDS, SAMPLE, LocalPrototypes
from protores.model.prototypes import Prototypes
from protores.model.residuals import Residuals

SHAPES = ((6, 8, 8), (8, 4, 4), (10, 2, 2))


def features(n: int, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(n, *shape, generator=generator).contiguous(memory_format=torch.channels_last) for shape in SHAPES
    ]


def fitted(maps: list[torch.Tensor], count: int) -> LocalPrototypes:
    local = LocalPrototypes([m.shape[1] for m in maps], count)
    local.fit(maps, seed=0)
    return local


def vectors_of(maps: torch.Tensor) -> torch.Tensor:
    return maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])


def test_nearest_is_that_of_brute_force():
    maps = features(5)
    local = fitted(maps, 7)
    for s, (nearest, gain) in enumerate(local(maps)):
        vectors = getattr(local, f"vectors_{s}")
        expected = vectors[torch.cdist(vectors_of(maps[s]), vectors).argmin(1)]
        torch.testing.assert_close(vectors_of(nearest), expected)
        assert torch.equal(gain, torch.ones(5))


def test_clusters_are_as_tight_as_those_of_scikit_learn_from_its_best_of_ten_starts():
    maps = features(40)
    local = fitted(maps, 12)
    for s, (nearest, _) in enumerate(local(maps)):
        points = vectors_of(maps[s]).numpy()
        best = KMeans(12, n_init=10, random_state=0).fit(points).inertia_
        assert float((maps[s] - nearest).square().sum()) < 1.1 * best


def test_spread_is_the_mean_squared_residual_of_each_channel():
    maps = features(12)
    local = fitted(maps, 4)
    assert all(len(vectors_of(m)) <= 4 * SAMPLE * 4 for m in maps)
    for s, (nearest, _) in enumerate(local(maps)):
        off = (maps[s] - nearest).square().mean((0, 2, 3))
        torch.testing.assert_close(getattr(local, f"spread_{s}"), off, rtol=0.35, atol=0)


@pytest.mark.parametrize("moved", [lambda m: m.roll((3, 1), (2, 3)), lambda m: m.rot90(1, (2, 3)), lambda m: m.flip(3)])
def test_what_lies_elsewhere_or_turned_has_the_same_residuals_there(moved):
    maps = features(6)
    local = fitted(maps, 5)
    for (nearest, _), (elsewhere, _) in zip(local(maps), local([moved(m) for m in maps]), strict=True):
        torch.testing.assert_close(moved(nearest), elsewhere)


def test_fewer_distinct_positions_than_prototypes():
    pattern = torch.randn(3, 6, 1, 1)
    maps = [pattern.expand(3, 6, 4, 4).contiguous()]
    local = fitted(maps, 8)
    assert local.norms_0.isfinite().sum() == 3
    torch.testing.assert_close(local(maps)[0][0], maps[0])


def test_the_seed_decides_and_the_features_stay():
    maps = features(9)
    before = [m.clone() for m in maps]
    once, again = fitted(maps, 6), fitted(maps, 6)
    other = LocalPrototypes([m.shape[1] for m in maps], 6)
    other.fit(maps, seed=1)
    assert torch.equal(once.vectors_0, again.vectors_0)
    assert not torch.equal(once.vectors_0, other.vectors_0)
    assert all(torch.equal(*pair) for pair in zip(maps, before, strict=True))


def test_bfloat16_features_find_the_prototypes_that_float32_does():
    maps = features(30)
    half = [m.bfloat16() for m in maps]
    local = fitted(half, 9)
    for (nearest, _), (expected, _) in zip(local(half), local([m.float() for m in half]), strict=True):
        assert torch.equal(nearest, expected)


def test_residuals_stand_behind_those_to_whole_maps():
    maps = features(10)
    prototypes = Prototypes(SHAPES, 2, 10)
    both = Residuals(prototypes, "log", LocalPrototypes([c for c, _, _ in SHAPES], 6))
    both.fit(maps, 0)
    source = torch.arange(10)
    for s, found in enumerate(both(maps, source)):
        c = maps[s].shape[1]
        torch.testing.assert_close(found[:, :c], Residuals(prototypes, "log")(maps, source)[s])
        nearest = both.local(maps)[s][0]
        spread = getattr(both.local, f"spread_{s}").view(1, -1, 1, 1)
        torch.testing.assert_close(found[:, c:], ((maps[s] - nearest).square() / spread).log1p())


def test_rounds_are_enough():
    points = np.random.default_rng(0).normal(size=(4000, 16)).astype(np.float32)
    few, many = (
        KMeans(64, init="random", n_init=1, max_iter=rounds, random_state=0).fit(points).inertia_
        for rounds in (ROUNDS, 300)
    )
    assert few < 1.02 * many
