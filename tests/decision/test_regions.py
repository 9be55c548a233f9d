"""Regions against brute force, and what a line reads off them."""

import json
from collections import deque
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protores.data.image import read_mask
from protores.decision.regions import Region, find_regions

MASKS = Path(__file__).parents[3] / "shared" / "data" / "mvtec_ad" / "grid" / "ground_truth"


def flooded(inside: np.ndarray) -> list[set[tuple[int, int]]]:
    """The 8-connected components by flooding, pixel by pixel."""
    left = {(int(y), int(x)) for y, x in zip(*np.nonzero(inside), strict=True)}
    components = []
    while left:
        queue, component = deque([left.pop()]), set()
        while queue:
            y, x = queue.popleft()
            component.add((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            queue.extend(near)
        components.append(component)
    return components


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.02, 0.3, 0.5, 0.8]), st.integers(1, 30), st.integers(1, 40))
def test_same_as_flooding(seed: int, share: float, height: int, width: int):
    """Every density: specks, touching corners, holes, regions within holes, all of the image."""
    rng = np.random.default_rng(seed)
    anomaly_map = rng.random((height, width)).astype(np.float32)
    threshold = float(np.float32(1 - share))
    found = find_regions(anomaly_map, threshold)
    expected = []
    for component in flooded(anomaly_map >= np.float32(threshold)):
        ys, xs = zip(*component, strict=True)
        values = anomaly_map[list(ys), list(xs)]
        box = (min(xs), min(ys), max(xs) - min(xs) + 1, max(ys) - min(ys) + 1)
        expected.append((float(values.max()), len(component), box, float(values.mean(dtype=np.float64))))
    expected.sort(key=lambda region: (-region[0], -region[1], region[2]))
    assert [(r.peak, r.area, r.box) for r in found] == [region[:3] for region in expected]
    assert [r.mean for r in found] == pytest.approx([region[3] for region in expected], abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_the_polygon_is_the_regions_outline(seed: int):
    """Filled, it is the region without its holes, off by a pixel at most; its corners are the region's own pixels."""
    blurred = cv2.GaussianBlur(np.random.default_rng(seed).random((90, 120)).astype(np.float32), (0, 0), 4)
    anomaly_map = cv2.normalize(blurred, None, 0, 1, cv2.NORM_MINMAX)
    near = cv2.getStructuringElement(cv2.MORPH_RECT, (3, 3))
    for region in find_regions(anomaly_map, 0.6):
        x, y, width, height = region.box
        assert all(anomaly_map[py, px] >= np.float32(0.6) for px, py in region.polygon)
        drawn = np.zeros(anomaly_map.shape, np.uint8)
        cv2.fillPoly(drawn, [np.array(region.polygon)], 1)
        assert not drawn[: max(0, y - 1)].any()
        assert not drawn[:, : max(0, x - 1)].any()
        assert drawn[y : y + height, x : x + width].sum() == drawn.sum()
        _, labels = cv2.connectedComponents((anomaly_map >= np.float32(0.6)).astype(np.uint8), connectivity=8)
        own = (labels == labels[region.polygon[0][1], region.polygon[0][0]]).astype(np.uint8)
        contours, _ = cv2.findContours(own, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        whole = cv2.drawContours(np.zeros_like(own), contours, -1, 1, cv2.FILLED)
        assert not (whole & ~cv2.dilate(drawn, near) & 1).any()
        assert not (drawn & ~cv2.dilate(whole, near) & 1).any()


def test_a_region_within_the_hole_of_another_is_one_of_its_own():
    anomaly_map = np.zeros((20, 20), np.float32)
    anomaly_map[2:18, 2:18] = 0.5
    anomaly_map[5:15, 5:15] = 0
    anomaly_map[9:11, 9:12] = 0.9
    inner, ring = find_regions(anomaly_map, 0.5)
    assert (inner.box, inner.area, inner.peak) == ((9, 9, 3, 2), 6, pytest.approx(0.9))
    assert (ring.box, ring.area, ring.polygon) == ((2, 2, 16, 16), 156, ((2, 2), (2, 17), (17, 17), (17, 2)))


def test_the_threshold_itself_counts_and_nothing_below():
    anomaly_map = np.array([[0.3, np.nextafter(np.float32(0.3), np.float32(0))]], np.float32)
    (region,) = find_regions(anomaly_map, 0.3)
    assert (region.box, region.polygon) == ((0, 0, 1, 1), ((0, 0),))
    assert find_regions(anomaly_map, 0.31) == ()


def test_small_regions_are_left_out_and_areas_have_a_scale():
    anomaly_map = np.zeros((30, 30), np.float32)
    anomaly_map[1:3, 1:4] = 0.9
    anomaly_map[10:20, 10:20] = 0.7
    assert [r.area for r in find_regions(anomaly_map, 0.5)] == [6, 100]
    assert [r.area for r in find_regions(anomaly_map, 0.5, min_area=7)] == [100]
    assert [r.area for r in find_regions(anomaly_map, 0.5, min_area=6)] == [6, 100]
    assert [r.area_mm2 for r in find_regions(anomaly_map, 0.5, mm_per_px=0.1)] == pytest.approx([0.06, 1.0])


def test_json_and_back():
    anomaly_map = cv2.GaussianBlur(np.eye(40, dtype=np.float32), (0, 0), 2)
    for region in find_regions(anomaly_map, 0.1, mm_per_px=0.5):
        values = json.loads(json.dumps(region.to_dict()))
        assert list(values) == ["box", "area", "area_mm2", "peak", "mean", "polygon"]
        assert Region.from_dict(values) == region


def test_real_masks():
    for path in sorted(MASKS.rglob("*.png"))[::8]:
        mask = read_mask(path)
        regions = find_regions(mask.astype(np.float32), 0.5)
        assert sum(region.area for region in regions) == mask.sum()
        assert len(regions) == cv2.connectedComponents(mask, connectivity=8)[0] - 1
