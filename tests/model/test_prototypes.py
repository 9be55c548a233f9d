"""K-means in Gram space against scikit-learn on the maps themselves, nearest prototypes against brute force."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from protores.model import prototypes as module
from protores.model.maps import MappedMaps
from protores.model.prototypes import (
    NO_CLUSTER,
    NO_SOURCE,
    Prototypes,
    _mean,
    gram_kmeans,
    gram_matrix,
    gram_points,
    images_behind,
    number_of_prototypes,
)


def inertia(points: np.ndarray, clusters: np.ndarray) -> float:
    return sum(
        float(((points[clusters == k] - points[clusters == k].mean(0)) ** 2).sum())
        for k in np.unique(clusters)
    )


def features(n: int, seed: int = 0, groups: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    maps = [torch.randn(n, c, s, s, generator=generator) for c, s in ((6, 8), (8, 4), (10, 2))]
    if groups:
        maps = [
            m + 5 * torch.randn(groups, *m.shape[1:], generator=generator)[torch.arange(n) % groups]
            for m in maps
        ]
    return maps


def fitted(maps: list[torch.Tensor], k: int) -> Prototypes:
    prototypes = Prototypes([tuple(m.shape[1:]) for m in maps], k, len(maps[0]))
    prototypes.fit(maps, seed=0)
    return prototypes


@pytest.mark.parametrize("chunk", [7, 64, 1 << 15])
def test_gram_matrix_is_that_of_the_centred_points(chunk):
    points = np.random.default_rng(0).normal(5, 1, (20, 300)).astype(np.float32)
    centred = points.astype(np.float64) - points.mean(0, dtype=np.float64)
    np.testing.assert_allclose(gram_matrix(torch.from_numpy(points), chunk=chunk), centred @ centred.T, atol=1e-2)


def test_the_features_stay_as_they_are():
    maps = [m.contiguous(memory_format=torch.channels_last) for m in features(12)]
    before = [m.clone() for m in maps]
    fitted(maps, 3)
    assert all(torch.equal(*pair) for pair in zip(maps, before, strict=True))


@pytest.mark.parametrize(("n", "d", "k"), [(60, 500, 6), (40, 2000, 10), (25, 30, 5)])
def test_inertia_is_as_low_as_scikit_learns_on_the_maps(n, d, k):
    rng = np.random.default_rng(n)
    points = (rng.normal(size=(n, d)) + 2 * rng.normal(size=(k, d))[rng.integers(k, size=n)]).astype(
        np.float32
    )
    ours = gram_kmeans(gram_matrix(torch.from_numpy(points)), k, seed=0)
    theirs = KMeans(k, n_init=10, random_state=0).fit_predict(points)
    assert inertia(points, ours) <= inertia(points, theirs) * (1 + 1e-6)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 12), st.integers(1, 12))
def test_points_have_the_inner_products_of_the_gram_matrix(seed, n, d, copies):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, d))[rng.integers(0, min(copies, n), n)]
    points -= points.mean(0)
    gram = points @ points.T
    found = gram_points(gram.copy())
    assert found.shape[1] <= min(n, d)
    np.testing.assert_allclose(found @ found.T, gram, atol=1e-6)


@pytest.mark.parametrize("k", [2, 3, 5, 8])
def test_as_many_clusters_as_distinct_points_where_they_are_few(k):
    points = torch.eye(5).repeat(3, 1)
    clusters = gram_kmeans(gram_matrix(points), k, seed=0)
    assert len(set(clusters)) == min(k, 5)
    assert np.array_equal(clusters[:5], clusters[5:10])


def test_no_more_clusters_than_distinct_points():
    points = torch.ones(8, 50)
    assert set(gram_kmeans(gram_matrix(points), 3, seed=0)) == {0}
    points[4:] = 2
    assert len(set(gram_kmeans(gram_matrix(points), 3, seed=0))) == 2


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.booleans())
def test_nearest_is_that_of_brute_force(seed, k, channels_last):
    prototypes = fitted(features(12, seed), k)
    images = features(5, seed + 1)
    if channels_last:
        images = [m.contiguous(memory_format=torch.channels_last) for m in images]
    for s, (nearest, gain) in enumerate(prototypes(images)):
        maps = getattr(prototypes, f"maps_{s}")
        used = [k for k in range(len(maps)) if torch.isfinite(getattr(prototypes, f"norms_{s}")[k])]
        for image, found in zip(images[s], nearest, strict=True):
            best = min(((image - maps[k]) ** 2).sum() for k in used)
            assert ((image - found) ** 2).sum() == pytest.approx(float(best), rel=1e-4)
        assert (gain == 1).all()


def test_nearest_on_cells_is_that_of_brute_force_on_averages():
    maps, images = features(12, groups=4), features(5, seed=1)
    prototypes = Prototypes([tuple(m.shape[1:]) for m in maps], 4, 12, cells=2)
    prototypes.fit(maps, seed=0)
    for s, (nearest, _) in enumerate(prototypes(images)):
        kept = getattr(prototypes, f"maps_{s}")
        small = [torch.nn.functional.avg_pool2d(m, 2).flatten(1) for m in (images[s], kept)]
        torch.testing.assert_close(nearest, kept[torch.cdist(*small).argmin(1)])


def test_a_prototype_is_the_mean_of_its_cluster_in_half_precision():
    maps = features(20, groups=4)
    prototypes = fitted(maps, 4)
    for s, m in enumerate(maps):
        clusters = getattr(prototypes, f"clusters_{s}")
        for k in range(4):
            mean = m[clusters == k].mean(0).half().float()
            torch.testing.assert_close(getattr(prototypes, f"maps_{s}")[k], mean, rtol=1e-3, atol=1e-3)


def test_leave_one_out_is_the_residual_to_the_prototype_without_the_image():
    maps = features(20, groups=4)
    prototypes = fitted(maps, 4)
    source = torch.arange(20)
    for s, (nearest, gain) in enumerate(prototypes(maps, source)):
        clusters = getattr(prototypes, f"clusters_{s}")
        for i in range(20):
            others = (clusters == clusters[i]) & (source != i)
            without = maps[s][others].mean(0)
            residual = (maps[s][i] - nearest[i]).square() * gain[i]
            torch.testing.assert_close(residual, (maps[s][i] - without).square(), rtol=0.02, atol=0.02)


def test_an_image_that_is_a_prototype_of_its_own_gets_the_next_one():
    maps = features(6, groups=2)
    maps = [torch.cat([m, m[:1] + 100]) for m in maps]
    prototypes = fitted(maps, 3)
    lonely = [m[-1:] for m in maps]
    own = prototypes(lonely)
    other = prototypes(lonely, torch.tensor([6]))
    unknown = prototypes(lonely, torch.tensor([NO_SOURCE]))
    for image, (mine, _), (next_one, _), (same, _) in zip(lonely, own, other, unknown, strict=True):
        torch.testing.assert_close(image, mine, rtol=1e-3, atol=0.1)
        assert (image - next_one).abs().mean() > 10
        torch.testing.assert_close(same, mine)


def test_spread_is_the_mean_leave_one_out_residual():
    maps = features(20, groups=4)
    prototypes = fitted(maps, 4)
    for s, (nearest, gain) in enumerate(prototypes(maps, torch.arange(20))):
        expected = ((maps[s] - nearest).square() * gain.view(-1, 1, 1, 1)).mean((0, 2, 3))
        torch.testing.assert_close(getattr(prototypes, f"spread_{s}"), expected)


def test_number_of_prototypes():
    assert number_of_prototypes(264, 0.1, 64) == 26
    assert number_of_prototypes(5000, 0.1, 64) == 64
    assert number_of_prototypes(3, 0.1, 64) == 1


def in_files(maps: list[torch.Tensor], folder) -> list[MappedMaps]:
    found = []
    for s, tensor in enumerate(maps):
        path = folder / f"{s}_{len(tensor)}"
        path.write_bytes(tensor.permute(0, 2, 3, 1).contiguous().numpy().tobytes())
        found.append(MappedMaps(path, tuple(tensor.shape), tensor.dtype))
    return found


def test_maps_in_files_make_the_same_prototypes_bit_for_bit(tmp_path):
    maps = [m.contiguous(memory_format=torch.channels_last) for m in features(30, groups=5)]
    expected, found = fitted(maps, 5).state_dict(), fitted(in_files(maps, tmp_path), 5).state_dict()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor)


@pytest.mark.parametrize("block", [1, 90, 1000])
def test_however_little_is_read_at_a_time_the_prototypes_are_the_same(monkeypatch, block):
    maps = [m.contiguous(memory_format=torch.channels_last) for m in features(30, groups=5)]
    expected = fitted(maps, 5)
    whole = gram_matrix(maps[0])
    monkeypatch.setattr(module, "BLOCK", block)
    np.testing.assert_allclose(gram_matrix(maps[0]), whole, rtol=1e-5, atol=1e-2)
    found = fitted(maps, 5)
    for s in range(3):
        assert torch.equal(getattr(found, f"clusters_{s}"), getattr(expected, f"clusters_{s}"))
        torch.testing.assert_close(getattr(found, f"maps_{s}"), getattr(expected, f"maps_{s}"), rtol=2e-3, atol=2e-3)


def test_the_mean_of_a_cluster_is_that_of_all_its_maps_at_once():
    maps = features(50)[0].contiguous(memory_format=torch.channels_last)
    members = np.arange(3, 47, 4)
    assert torch.equal(_mean(maps, members), maps[torch.from_numpy(members)].mean(0))


def test_a_sample_of_many_images_is_drawn_by_seed():
    assert images_behind(5, 5, seed=0).tolist() == [0, 1, 2, 3, 4]
    drawn = images_behind(5000, 4000, seed=1)
    assert len(np.unique(drawn)) == 4000
    assert (np.diff(drawn) > 0).all()
    assert np.array_equal(drawn, images_behind(5000, 4000, seed=1))
    assert not np.array_equal(drawn, images_behind(5000, 4000, seed=2))


def test_prototypes_of_a_sample_are_those_of_its_images_alone():
    maps = features(40, groups=4)
    prototypes = Prototypes([tuple(m.shape[1:]) for m in maps], 4, 40)
    prototypes.fit(maps, seed=3, most=25)
    drawn = torch.from_numpy(images_behind(40, 25, seed=3))
    alone = Prototypes([tuple(m.shape[1:]) for m in maps], 4, 25)
    alone.fit([m[drawn] for m in maps], seed=3)
    others = torch.tensor([i for i in range(40) if i not in set(drawn.tolist())])
    for s in range(3):
        clusters = getattr(prototypes, f"clusters_{s}")
        assert torch.equal(clusters[drawn], getattr(alone, f"clusters_{s}"))
        assert (clusters[others] == NO_CLUSTER).all()
        assert torch.equal(getattr(prototypes, f"maps_{s}"), getattr(alone, f"maps_{s}"))
        torch.testing.assert_close(getattr(prototypes, f"spread_{s}"), getattr(alone, f"spread_{s}"))
    rest = [m[others] for m in maps]
    known, unknown = prototypes(rest, others), prototypes(rest, torch.full((len(others),), NO_SOURCE))
    for (mine, gain), (theirs, one) in zip(known, unknown, strict=True):
        assert torch.equal(mine, theirs)
        assert torch.equal(gain, one)
