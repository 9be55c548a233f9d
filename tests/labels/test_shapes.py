"""Shapes against brute force over every pixel's centre."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protores.labels.shapes import Bitmap, Dots, Ellipse, Line, Polygon, box, draw, turned

SIZE = (20, 26)
coordinates = st.integers(-190, 600).map(lambda sixteenths: sixteenths / 16)
points = st.tuples(coordinates, coordinates)


CENTRES = np.arange(SIZE[1]) + 0.5 + 1j * (np.arange(SIZE[0]) + 0.5)[:, None]
"""x + iy of every pixel."""


@settings(max_examples=150, deadline=None)
@given(st.lists(points, min_size=3, max_size=4))
def test_a_simple_polygon_holds_the_centres_inside(corners):
    contour = cv2.convexHull(np.array(corners, np.float32))
    if contour is None or len(contour) < 3:
        return
    hull = tuple((float(x), float(y)) for x, y in contour[:, 0])
    distances = [cv2.pointPolygonTest(contour, (one.real, one.imag), True) for one in CENTRES.ravel()]
    away = np.reshape(distances, SIZE)
    drawn = draw(Polygon(hull), SIZE, 3)
    certain = abs(away) > 1e-3
    if (away > 0).any():
        np.testing.assert_array_equal(drawn[certain], (away > 0)[certain])


@settings(max_examples=60, deadline=None)
@given(st.lists(points, min_size=3, max_size=9))
def test_a_polygon_that_crosses_itself_is_filled_by_even_and_odd(corners):
    drawn = draw(Polygon(tuple(corners)), SIZE, 3)
    crossings = np.zeros(SIZE, int)
    x, y = CENTRES.real, CENTRES.imag
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        if y0 != y1:
            crossings += ((y0 <= y) != (y1 <= y)) & (x0 + (y - y0) * ((x1 - x0) / (y1 - y0)) <= x)
    if (crossings % 2).any():
        np.testing.assert_array_equal(drawn, crossings % 2)


def test_a_box_of_whole_pixels_is_those_pixels_and_half_of_one_counts_by_its_centre():
    drawn = draw(box(3, 4, 10, 6), SIZE, 3)
    assert drawn[4:6, 3:10].all()
    assert drawn.sum() == 14
    np.testing.assert_array_equal(draw(box(10, 6, 3, 4), SIZE, 3), drawn)
    np.testing.assert_array_equal(draw(box(2.51, 3.6, 10.49, 6.4), SIZE, 3), drawn)


@settings(max_examples=60, deadline=None)
@given(points, st.floats(0.8, 15), st.floats(0.8, 15), st.floats(-180, 180))
def test_an_ellipse_holds_the_centres_inside(centre, a, b, turn):
    away = (CENTRES - complex(*centre)) * np.exp(-1j * np.radians(turn))
    inside = (away.real / a) ** 2 + (away.imag / b) ** 2 <= 1
    if inside.any():
        assert (draw(Ellipse(centre, (a, b), turn), SIZE, 3) != inside).sum() <= 1


def test_turning_is_clockwise_on_the_screen():
    ((x, y), *_) = turned(box(5, 5, 9, 7), 90, (5, 5)).points[1:]
    assert (x, y) == pytest.approx((5, 9))
    upright = draw(Ellipse((10, 10), (8, 2), 90), SIZE, 3)
    assert upright[3, 10]
    assert not upright[10, 3]
    slanted = draw(Ellipse((10, 10), (8, 1.5), 45), SIZE, 3)
    assert slanted[14, 14]
    assert not slanted[14, 5]


@settings(max_examples=60, deadline=None)
@given(st.lists(points, min_size=1, max_size=5), st.floats(1, 9))
def test_a_line_holds_what_is_within_half_its_width(path, width):
    radius = max(width / 2, 0.71)
    nearest = np.full(SIZE, np.inf)
    for start, end in zip(path, path[1:] or path, strict=False):
        a, b = complex(*start), complex(*end)
        share = 0 if a == b else np.clip(((CENTRES - a) * (b - a).conjugate()).real / abs(b - a) ** 2, 0, 1)
        nearest = np.minimum(nearest, abs(CENTRES - a - share * (b - a)))
    drawn = draw(Line(tuple(path)), SIZE, width)
    certain = abs(nearest - radius) > 1e-6
    np.testing.assert_array_equal(drawn[certain], (nearest <= radius)[certain])


def test_dots_are_not_joined():
    drawn = draw(Dots(((3.5, 3.5), (20.5, 15.5))), SIZE, 3)
    assert drawn.sum() == 18
    assert cv2.connectedComponents(drawn)[0] == 3


def test_what_is_too_thin_for_any_centre_does_not_vanish():
    crack = draw(Polygon(((2.1, 3.9), (18.2, 4.1), (18.2, 4.12))), SIZE, 3)
    assert crack[3:5, 3:18].any(axis=0).all()
    assert not crack[:2].any()
    assert draw(Ellipse((7.0, 7.0), (0.2, 0.2)), SIZE, 3).any()
    assert draw(box(25.9, 3, 40, 3.1), SIZE, 3).any()


def test_what_lies_outside_is_cut_off():
    assert draw(box(-10, -10, 100, 100), SIZE, 3).all()
    for shape in (box(-9, 3, -5, 8), Ellipse((50, 50), (4, 4)), Line(((30, 1), (90, 5))), Dots(((-4, -4),))):
        assert not draw(shape, SIZE, 3).any()


@given(st.integers(-30, 40), st.integers(-30, 40))
def test_a_bitmap_is_put_where_it_belongs(left, top):
    pixels = np.random.default_rng(0).integers(0, 2, (9, 11), np.uint8)
    drawn = draw(Bitmap(pixels, left, top), SIZE, 3)
    canvas = np.zeros((100, 100), np.uint8)
    canvas[top + 40 : top + 49, left + 40 : left + 51] = pixels
    np.testing.assert_array_equal(drawn, canvas[40 : 40 + SIZE[0], 40 : 40 + SIZE[1]])
