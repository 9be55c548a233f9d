"""The images that a network is judged, watched and quantised on."""

import numpy as np
import pytest

from protores import presets
from protores.data.sample import GOOD
from protores.judgement import calibration_images, judge, typical_images
from protores.metrics.evaluation import evaluate
from protores.model.scoring import score_images
from protores.product import open_product
from protores.progress import Progress
from protores.run import Run
from protores.workflow import _synthesizer


@pytest.fixture(scope="module")
def product(tiny_product, tiny):
    return open_product(presets.load("quick", tiny | {"data.root": tiny_product}), False, Progress())


def test_every_second_typical_image_has_an_anomaly_and_the_product_is_left_as_it_was(product):
    opened, settings = product
    good = opened.role("train").images
    before = good[:]
    images = typical_images(opened, _synthesizer(opened, settings), settings.seed)
    assert len(images) == len(good) <= 128
    changed = [not np.array_equal(one, own) for one, own in zip(images, good, strict=True)]
    assert changed == [place % 2 == 1 for place in range(len(images))]
    assert np.array_equal(opened.role("train").images, before)
    assert np.array_equal(images, typical_images(opened, _synthesizer(opened, settings), settings.seed))


def test_calibration_images_are_the_same_whenever_they_are_looked_at(product):
    opened, settings = product
    synthesizer = _synthesizer(opened, settings)
    found = calibration_images(opened, synthesizer, settings.seed)
    own = opened.role("calibration")
    good = [place for place, kind in enumerate(own.kinds) if kind == GOOD]
    assert len(found) == len(own) + len(good)
    images, masks = found.images[:], found.masks[:]
    assert np.array_equal(images[: len(own)], own.images)
    changed = (images[len(own) :] != own.images[good]).any(-1)
    assert (masks[len(own) :][changed] == 1).all()
    assert masks[len(own) :].any((1, 2)).all()
    for place in reversed(range(len(found))):
        assert np.array_equal(found.images[place], images[place])
        assert np.array_equal(found.masks[place], masks[place])


@pytest.fixture(scope="module")
def judged(product, tiny_run):
    opened, settings = product
    network = Run(tiny_run).load_network(settings)
    images = opened.role("test")
    maps, scores = score_images(network, images.images, settings.model.score_top)
    return judge(network, images, settings, {"missing"}), maps, scores


def test_judging_by_parts_gives_the_figures_of_all_at_once(judged, monkeypatch):
    judgement, maps, scores = judged
    images = judgement.images
    assert np.array_equal(judgement.scores, scores)
    assert judgement.figures == evaluate(scores, maps, images.masks_or_none(), images.kinds, {"missing"})
    assert judgement.evaluator.compute(set(images.kinds)).unseen.image_auroc is None


def test_the_hardest_and_the_easiest_of_each_kind_keep_their_maps(judged):
    judgement, maps, scores = judged
    expected = []
    for kind in sorted(set(judgement.images.kinds), key=lambda kind: (kind != GOOD, kind)):
        own = [i for i, k in enumerate(judgement.images.kinds) if k == kind]
        ranked = sorted(own, key=lambda i: scores[i], reverse=kind == GOOD)
        expected += ranked if len(ranked) <= 4 else ranked[:2] + ranked[-2:]
    assert list(judgement.maps) == expected
    assert len(expected) < len(maps)
    for place, found in judgement.maps.items():
        assert np.array_equal(found, maps[place])
