"""Batches by step: exact counts, the same from any worker, every good image in turn."""

from collections import Counter

import numpy as np
import pytest
import torch

from protores.model.prototypes import NO_SOURCE
from protores.settings import SynthesisSettings, TrainingSettings
from protores.synthesis.products import ProductSynthesizer
from protores.synthesis.synthesizer import Synthesizer
from protores.training.loader import Batches, make_loader, slots

N, SIZE = 10, 32


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    good = rng.integers(90, 160, (N, SIZE, SIZE, 3)).astype(np.uint8)
    seen = good[:3].copy()
    masks = np.zeros((3, SIZE, SIZE), np.uint8)
    masks[:, 10:16, 12:20] = 1
    seen[masks > 0] = 250
    return good, seen, masks


def batches(images, seen=True, **settings):
    good, defects, masks = images
    if not seen:
        defects, masks = defects[:0], masks[:0]
    synthesizer = Synthesizer(good, defects, masks, None, SynthesisSettings(), 0)
    return Batches(good, defects, masks, synthesizer, TrainingSettings(batch_size=8, **settings), seed=3)


def same(a, b) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a[:3], b[:3], strict=True))


def test_exact_counts_and_what_is_normal(images):
    made = batches(images)
    for step in range(5):
        batch = made[step]
        assert batch.images.shape == (8, SIZE, SIZE, 3)
        assert batch.normal == 4
        np.testing.assert_array_equal(batch.images[:4], images[0][batch.source[:4]])
        assert batch.masks.shape == (8, SIZE, SIZE)
        assert not batch.masks[:4].any()
        assert (batch.source[:4] != NO_SOURCE).all()
        assert batch.masks[4:].flatten(1).any(1).all()


def test_outside_its_mask_an_image_is_its_source(images):
    made = batches(images, seen_as_is=0.0)
    for step in range(5):
        batch = made[step]
        for image, mask, source in zip(batch.images[4:], batch.masks[4:], batch.source[4:], strict=True):
            outside = mask.numpy() == 0
            np.testing.assert_array_equal(image.numpy()[outside], images[0][source][outside])


def test_seen_images_as_they_are_have_no_source(images):
    batch = batches(images, seen_as_is=1.0)[0]
    assert (batch.source[4:6] == NO_SOURCE).all()
    assert all(
        any(np.array_equal(image, defect) for defect in images[1]) for image in batch.images[4:6].numpy()
    )


def test_without_seen_defects_their_share_is_simulated(images):
    assert slots(TrainingSettings(batch_size=16), any_seen=True) == (8, 4, 4)
    assert slots(TrainingSettings(batch_size=16), any_seen=False) == (8, 0, 8)
    assert batches(images, seen=False)[0].images.shape[0] == 8


def test_every_good_image_comes_once_an_epoch(images):
    made = batches(images)
    drawn = [int(i) for step in range(5) for i in made[step].source[:4]]
    assert Counter(drawn) == {i: 2 for i in range(N)}
    assert drawn[:N] != drawn[N:]


def test_a_step_is_the_same_batch_from_any_worker_and_any_start(images):
    made = batches(images)
    here = list(make_loader(made, 0, 6, workers=0))
    there = list(make_loader(made, 0, 6, workers=2))
    later = list(make_loader(made, 4, 6, workers=1))
    assert all(same(a, b) for a, b in zip(here, there, strict=True))
    assert all(same(a, b) for a, b in zip(here[4:], later, strict=True))
    assert not same(here[0], here[1])


def test_products_take_turns_in_every_part_of_a_batch(images):
    """Three in a row, of 5, 3 and 2 good images; the second has no seen defects."""
    good, defects, masks = images
    counts, ends = [(5, 2), (3, 0), (2, 1)], [5, 8, 10]
    seen = ([0, 1], [], [2])
    parts = [
        Synthesizer(good[end - n : end], defects[own], masks[own], None, SynthesisSettings(), 0)
        for (n, _), end, own in zip(counts, ends, seen, strict=True)
    ]
    settings = TrainingSettings(batch_size=12, seen_as_is=0.0)
    synthesizer = ProductSynthesizer(parts, [n for n, _ in counts])
    made = Batches(good, defects, masks, synthesizer, settings, seed=3, products=counts)
    sources = np.concatenate([made[step].source.numpy() for step in range(15)])
    of_product = np.searchsorted(ends, sources, "right").reshape(15, 12)
    for part in (of_product[:, :6], of_product[:, 6:9], of_product[:, 9:]):
        assert Counter(part.ravel().tolist()) == dict.fromkeys(range(3), part.size // 3)
    normal = sources.reshape(15, 12)[:, :6].ravel()
    assert sorted(normal[of_product[:, :6].ravel() == 0][:5]) == [0, 1, 2, 3, 4]  # each once before any again
    for step in range(3):
        batch = made[step]
        for image, mask, source in zip(batch.images[6:], batch.masks[6:], batch.source[6:], strict=True):
            outside = mask.numpy() == 0
            np.testing.assert_array_equal(image.numpy()[outside], good[source][outside])


def test_seen_images_as_they_are_come_from_every_product_that_has_some(images):
    good, defects, masks = images
    parts = [Synthesizer(good[:5], defects[:1], masks[:1], None, SynthesisSettings(), 0)]
    parts.append(Synthesizer(good[5:], defects[1:], masks[1:], None, SynthesisSettings(), 0))
    settings = TrainingSettings(batch_size=8, seen_as_is=1.0)
    synthesizer = ProductSynthesizer(parts, [5, 5])
    made = Batches(good, defects, masks, synthesizer, settings, seed=3, products=[(5, 1), (5, 2)])
    shown = [image for step in range(12) for image in made[step].images[4:6].numpy()]
    assert sum(np.array_equal(image, defects[0]) for image in shown) == 12
    assert all(any(np.array_equal(image, defect) for image in shown) for defect in defects)


def test_one_product_named_is_the_same_as_none_named(images):
    good, defects, masks = images
    synthesizer = Synthesizer(good, defects, masks, None, SynthesisSettings(), 0)
    named = Batches(good, defects, masks, synthesizer, TrainingSettings(batch_size=8), 3, products=[(N, 3)])
    assert all(same(named[step], batches(images)[step]) for step in range(4))
