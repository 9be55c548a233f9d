"""The figures of several products are their means, and each one's own stay beside them."""

import numpy as np
import pytest

from protores.metrics.evaluation import Figures, evaluate
from protores.metrics.products import mean, over_products


def judged(scores, kinds, seen=()):
    maps = [np.full((4, 4), score, np.float32) for score in scores]
    masks = [None if kind == "good" else np.eye(4, dtype=np.uint8) for kind in kinds]
    return evaluate(scores, maps, masks, kinds, seen)


BOARD = judged([0.1, 0.2, 0.9, 0.15], ["good", "good", "bent", "bent"], ["bent"])
LID = judged([0.3, 0.8, 0.9], ["good", "scratch", "dent"])
EMPTY = judged([0.3, 0.4], ["good", "good"])


def test_every_figure_is_the_mean_over_the_products_that_have_it():
    found = over_products({"board": BOARD, "lid": LID, "empty": EMPTY}, {"board": 1.0, "lid": 0.5, "empty": 1.0})
    assert found.image_auroc == pytest.approx((0.75 + 1) / 2)
    assert found.pixel_ap == pytest.approx((BOARD.pixel_ap + LID.pixel_ap) / 2)
    assert found.seen.image_auroc == 0.75
    assert found.unseen.image_auroc == 1.0
    assert found.products["empty"].image_auroc is None


def test_kinds_and_counts_keep_the_products_apart():
    found = over_products({"board": BOARD, "lid": LID}, {"board": 1.0, "lid": 1.0})
    assert set(found.kinds) == {"board/bent", "lid/scratch", "lid/dent"}
    assert found.kinds["board/bent"] == BOARD.kinds["bent"]
    assert (found.counts.images, found.counts.good, found.counts.defective) == (7, 3, 4)
    assert found.counts.kinds == {"board/bent": 2, "lid/dent": 1, "lid/scratch": 1}
    told = found.to_dict()
    assert told["products"]["lid"] == LID.to_dict()
    assert told["recognised"] == {"board": 1.0, "lid": 1.0}


def test_what_no_product_has_stays_undefined():
    nothing = Figures(None, None, None, None, None, None)
    assert mean([nothing, nothing]) == mean([]) == nothing
