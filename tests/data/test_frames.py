import pickle
from functools import partial
from operator import getitem

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protores.data.frames import Frames

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 4, 5, 3), dtype=np.uint8)


def frames() -> Frames:
    return Frames(partial(getitem, IMAGES), len(IMAGES), IMAGES.shape[1:], np.uint8)


@given(
    st.slices(7) | st.integers(-7, 6) | st.lists(st.integers(-7, 6)).map(lambda places: np.array(places, int)),
    st.slices(7) | st.permutations(range(7)).map(np.array),
)
def test_indexed_as_the_array_would_be(index, chosen):
    np.testing.assert_array_equal(frames()[index], IMAGES[index])
    places = np.arange(7)[chosen]
    some = frames().select(places)
    assert some.shape == IMAGES[places].shape
    np.testing.assert_array_equal(some, IMAGES[places])
    np.testing.assert_array_equal(list(some) or np.zeros((0, 4, 5, 3)), IMAGES[places])


def test_nothing_is_read_before_it_is_asked_for():
    read = []
    some = Frames(lambda place: read.append(place) or IMAGES[place], 7, (4, 5, 3), np.uint8).select(np.arange(2, 6))
    assert (len(some), read) == (4, [])
    some[1:3]
    assert read == [3, 4]


def test_beyond_the_last_there_is_none():
    with pytest.raises(IndexError):
        frames()[7]


def test_pickled_it_is_the_same():
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(frames())), IMAGES)
