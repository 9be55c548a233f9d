import numpy as np
import pytest

from protores import toy
from protores.toy.drift import draw_smeared, draw_stamped


@pytest.mark.parametrize("size", [64, 256])
def test_a_stamp_is_the_same_good_board_but_for_a_ring(size: int):
    plain = toy.draw_good(np.random.default_rng(3), size)
    stamped = draw_stamped(np.random.default_rng(3), size)
    changed = (plain != stamped).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert 0.001 < changed.mean() < 0.02
    assert rows.max() < 0.4 * size
    assert columns.min() > 0.5 * size


@pytest.mark.parametrize("size", [64, 256])
def test_the_mask_of_a_smear_is_where_the_board_changed(size: int):
    plain = toy.draw_good(np.random.default_rng(3), size)
    smeared, mask = draw_smeared(np.random.default_rng(3), size)
    changed = (plain != smeared).any(axis=2)
    assert mask.dtype == np.uint8
    assert not changed[mask == 0].any()
    assert changed[mask > 0].mean() > 0.95
    assert 0.004 < mask.mean() < 0.05
