"""Run lengths against what the tools' own encoders wrote, and against encoders of our own."""

import numpy as np
import pytest
from encoders import compressed, runs_of
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from protores.labels.rle import coco_runs, from_runs, label_studio_mask

masks = arrays(np.uint8, st.tuples(st.integers(1, 30), st.integers(1, 30)), elements=st.integers(0, 1))


def brush(values: np.ndarray) -> list[int]:
    """As Label Studio packs a stroke: runs of at most 16, of single values where they differ."""
    bits = f"{len(values):032b}{7:05b}{3:04b}{3:04b}{3:04b}{3:04b}"
    at = 0
    while at < len(values):
        part = values[at : at + 16]
        same = int(np.argmax(np.append(part != part[0], True)))
        if same > 1 or len(part) < 3:
            bits += f"100{same - 1:04b}{part[0]:08b}"
            at += same
        else:
            bits += f"010{2:04b}" + "".join(f"{value:08b}" for value in part[:3])
            at += 3
    bits += "0" * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]


@given(masks)
def test_runs_by_rows_and_by_columns(mask):
    np.testing.assert_array_equal(from_runs(runs_of(mask.ravel()), mask.shape, "C"), mask)
    np.testing.assert_array_equal(from_runs(runs_of(mask.ravel("F")), mask.shape, "F"), mask)


@given(masks)
def test_compressed_runs(mask):
    runs = runs_of(mask.ravel("F"))
    assert coco_runs(compressed(runs)) == runs


@given(st.lists(st.integers(0, 1 << 28), min_size=1))
def test_compressed_runs_of_any_length(runs):
    assert coco_runs(compressed(runs)) == runs


def test_what_the_coco_api_wrote():
    """pycocotools 2.0.11 of this mask: a ring and a block in the corner."""
    y, x = np.mgrid[:37, :53]
    away = (x - 20) ** 2 + (y - 15) ** 2
    mask = ((away <= 100) & (away > 25)).astype(np.uint8)
    mask[30:37, 40:53] = 1
    text = (
        r"Q<1P18J4M2N2OG]O0b0ND0;OG090G090G080J060H090G090G091E0<2^O0c091N2N3L6HP;6nD00000000000000000000000"
    )
    np.testing.assert_array_equal(from_runs(coco_runs(text), mask.shape, "F"), mask)
    assert compressed(runs_of(mask.ravel("F"))) == text
    assert from_runs(coco_runs("0S1"), (5, 7), "F").all()
    assert not from_runs(coco_runs("S1"), (5, 7), "F").any()


def test_what_label_studio_wrote():
    """encode_rle of label-studio-sdk 2.1.2 of this mask: a ring, every second pixel of it."""
    y, x = np.mgrid[5:21:2, 8:34:2]
    away = (x - 20) ** 2 + (y - 15) ** 2
    mask = ((away <= 100) & (away > 25)).astype(np.uint8)
    codes = [
        0, 0, 1, 160, 57, 27, 254, 23, 0, 143, 255, 17, 128, 97, 191, 252, 38, 1, 136, 255, 239, 128, 91, 255, 182,
        1, 111, 254, 248, 4, 255, 248, 76, 2, 127, 251, 96, 22, 255, 240, 152, 5, 191, 251, 96, 19, 255, 225, 48, 9,
        255, 239, 128, 91, 255, 182, 1, 111, 254, 112, 0,
    ]  # fmt: skip
    np.testing.assert_array_equal(label_studio_mask(codes, mask.shape), mask)


@settings(deadline=None)
@given(masks, st.integers(0, 255))
def test_brush_strokes_of_any_colour(mask, colour):
    image = np.zeros((*mask.shape, 4), np.uint8)
    image[mask > 0] = (colour, 80, 200, 255)
    np.testing.assert_array_equal(label_studio_mask(brush(image.ravel()), mask.shape), mask)


def test_the_edge_of_a_stroke_counts_from_half_its_opacity():
    image = np.zeros((1, 4, 4), np.uint8)
    image[0, :, 3] = (0, 127, 128, 255)
    assert label_studio_mask(brush(image.ravel()), (1, 4)).tolist() == [[0, 0, 1, 1]]


def test_what_does_not_fit_is_an_error():
    for wrong in ([5, 2], [40], [-1, 36], []):
        with pytest.raises(ValueError, match="do not add up to 7 x 5 pixels"):
            from_runs(wrong, (5, 7), "F")
    with pytest.raises(ValueError, match="cut off"):
        coco_runs("Q<P")
    with pytest.raises(ValueError, match="no run length"):
        coco_runs("Q<é")
    codes = brush(np.zeros(4 * 35, np.uint8))
    with pytest.raises(ValueError, match="stroke of 35 pixels for an image of 7 x 6"):
        label_studio_mask(codes, (6, 7))
    for end in (0, 3, 7, len(codes) - 2):
        with pytest.raises(ValueError, match="cut off"):
            label_studio_mask(codes[:end], (5, 7))
