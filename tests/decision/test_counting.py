"""Regions that are too small do not count."""

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from protores.decision.counting import without_specks


def test_a_speck_goes_and_a_patch_stays():
    anomaly = np.full((32, 32), 0.1, np.float32)
    anomaly[2:4, 2:4] = 0.9
    anomaly[10:20, 10:20] = 0.8
    found = without_specks(anomaly, 0.5, least=5)
    assert (found[2:4, 2:4] == 0).all()
    anomaly[2:4, 2:4] = 0
    np.testing.assert_array_equal(found, anomaly)


def test_corners_connect():
    anomaly = np.eye(8, dtype=np.float32)
    np.testing.assert_array_equal(without_specks(anomaly, 0.5, least=8), anomaly)
    assert not without_specks(anomaly, 0.5, least=9).any()


@given(arrays.arrays(np.float32, (9, 7), elements=st.floats(0, 1, width=32)), st.floats(0, 1), st.floats(0, 12))
def test_what_is_left_is_as_it_was_and_large_enough(anomaly, threshold, least):
    found = without_specks(anomaly, threshold, least)
    kept = found != 0
    np.testing.assert_array_equal(found[kept], anomaly[kept])
    below = anomaly < threshold
    np.testing.assert_array_equal(found[below], anomaly[below])
    if threshold > 0:
        count, labels = cv2.connectedComponents((found >= threshold).astype(np.uint8), connectivity=8)
        areas = np.bincount(labels.ravel(), minlength=count)[1:]
        assert (areas >= least).all()
