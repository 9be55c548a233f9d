"""The images that a network is judged, watched and quantised on."""

import numpy as np
import pytest

from protores import presets
from protores.judgement import typical_images
from protores.product import open_product
from protores.progress import Progress
from protores.workflow import _synthesizer


@pytest.fixture(scope="module")
def product(tiny_product, tiny):
    return open_product(presets.load("quick", tiny | {"data.root": tiny_product}), False, Progress())


def test_every_second_typical_image_has_an_anomaly_and_the_product_is_left_as_it_was(product):
    opened, settings = product
    good = opened.role("train").images
    before = good.copy()
    images = typical_images(opened, _synthesizer(opened, settings), settings.seed)
    assert len(images) == len(good) <= 128
    changed = [not np.array_equal(one, own) for one, own in zip(images, good, strict=True)]
    assert changed == [place % 2 == 1 for place in range(len(images))]
    assert np.array_equal(opened.role("train").images, before)
    assert np.array_equal(images, typical_images(opened, _synthesizer(opened, settings), settings.seed))
