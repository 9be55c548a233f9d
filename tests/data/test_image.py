import io
import lzma
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from protores.data.image import (
    compose,
    decode_image,
    encode_mask,
    fit_box,
    network_input,
    probe_bit_depth,
    read_image,
    read_mask,
    resize_image,
    resize_mask,
    shrink,
    to_rgb,
    valid_pixels,
)
from protores.errors import UnreadableImage

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (20, 30), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)


def save(path: Path, rgb: np.ndarray) -> Path:
    bgr = rgb if rgb.ndim == 2 else rgb[..., [2, 1, 0, 3][: rgb.shape[2]]]
    path.write_bytes(cv2.imencode(path.suffix, bgr)[1].tobytes())
    return path


@pytest.mark.parametrize("ending", [".png", ".PNG", ".bmp", ".tif", ".ppm"])
def test_lossless_colour_comes_back(tmp_path: Path, ending: str):
    path = save(tmp_path / f"Prüfling 検査{ending.lower()}", COLOUR).rename(
        tmp_path / f"Prüfling 検査{ending}"
    )
    np.testing.assert_array_equal(read_image(path), COLOUR)


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif", ".pgm"])
def test_gray_is_replicated(tmp_path: Path, ending: str):
    np.testing.assert_array_equal(read_image(save(tmp_path / f"a{ending}", GRAY)), np.dstack([GRAY] * 3))


@pytest.mark.parametrize("ending", [".jpg", ".webp"])
def test_lossy_colour_is_close_and_in_the_right_order(tmp_path: Path, ending: str):
    flat = np.full((32, 32, 3), (200, 100, 20), np.uint8)
    read = read_image(save(tmp_path / f"a{ending}", flat))
    assert np.abs(read.astype(int) - flat).max() <= 6


@pytest.mark.parametrize("ending", [".png", ".tif", ".pgm"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_16_bit_files_are_scaled_by_the_bits_they_use(tmp_path: Path, ending: str, bits: int):
    stored = RNG.integers(0, 2**bits, (20, 30), dtype=np.uint16)
    stored[0, 0] = 2**bits - 1
    path = save(tmp_path / f"a{ending}", stored)
    read = read_image(path, bits)
    assert read.dtype == np.uint8
    assert np.abs(read[..., 0] - stored * (255 / (2**bits - 1))).max() <= 0.5
    assert read.max() == 255
    assert probe_bit_depth([path]) == bits


def test_16_bit_values_beyond_the_depth_are_clipped():
    np.testing.assert_array_equal(
        to_rgb(np.array([[0, 4095, 4096, 65535]], np.uint16), 12)[0, :, 0], [0, 255, 255, 255]
    )


def test_8_bit_values_stay_whatever_the_depth():
    np.testing.assert_array_equal(to_rgb(COLOUR, 12), COLOUR)


def test_probe_passes_over_8_bit_and_broken_files(tmp_path: Path):
    eight = save(tmp_path / "a.png", GRAY)
    twelve = save(tmp_path / "b.png", GRAY.astype(np.uint16) * 16)
    broken = tmp_path / "c.png"
    broken.write_bytes(twelve.read_bytes()[:200])
    assert probe_bit_depth([eight, twelve, broken, tmp_path / "none.png"]) == 12
    assert probe_bit_depth([eight]) == 16
    assert probe_bit_depth([]) == 16


@pytest.mark.parametrize("ending", [".png", ".tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_alpha_is_composited_on_black(tmp_path: Path, ending: str, dtype: type):
    full = np.iinfo(dtype).max
    colour = RNG.integers(0, full + 1, (20, 30, 3)).astype(dtype)
    alpha = RNG.integers(0, full + 1, (20, 30, 1)).astype(dtype)
    path = save(tmp_path / f"a{ending}", np.dstack([colour, alpha]))
    expected = colour.astype(float) * alpha / full * 255 / full
    assert np.abs(read_image(path) - expected).max() <= 1.01
    opaque = save(tmp_path / f"b{ending}", np.dstack([colour, np.full_like(alpha, full)]))
    np.testing.assert_array_equal(decode_image(opaque.read_bytes(), opaque).pixels, colour)


def tiff(pixels: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (tiff(COLOUR, photometric="rgb", compression="zlib"), COLOUR),
        (tiff(COLOUR, photometric="rgb", compression="zlib", predictor=True, rowsperstrip=7), COLOUR),
        (tiff(COLOUR, photometric="rgb", compression="zlib", tile=(16, 16)), COLOUR),
        (tiff(COLOUR, photometric="rgb", compression="lzma"), COLOUR),
        (tiff(GRAY > 99, photometric="minisblack", compression="zlib"), np.where(GRAY > 99, 255, 0)),
        (cv2.imencode(".tif", COLOUR[..., ::-1], (cv2.IMWRITE_TIFF_COMPRESSION, 32773))[1].tobytes(), COLOUR),
        (tiff(COLOUR, photometric="rgb", tile=(16, 16)), COLOUR),
        (tiff(np.moveaxis(COLOUR, -1, 0).copy(), photometric="rgb", planarconfig="separate"), COLOUR),
        (tiff(COLOUR, photometric="rgb", bigtiff=True, byteorder=">"), COLOUR),
        (tiff(GRAY, photometric="miniswhite"), 255 - GRAY),
        (tiff(GRAY > 99, photometric="minisblack"), np.where(GRAY > 99, 255, 0)),
        (tiff(GRAY > 99, photometric="miniswhite"), np.where(GRAY > 99, 0, 255)),
        (tiff(GRAY.astype(np.uint16) * 257, byteorder=">"), GRAY.astype(np.uint16) * 257),
        (tiff(np.stack([GRAY, 255 - GRAY]), photometric="minisblack"), GRAY),
        (cv2.imencode(".tif", COLOUR[..., ::-1], (cv2.IMWRITE_TIFF_COMPRESSION, 5))[1].tobytes(), COLOUR),
        (cv2.imencode(".tif", COLOUR[..., ::-1], (cv2.IMWRITE_TIFF_COMPRESSION, 1))[1].tobytes(), COLOUR),
        (tiff(GRAY, extratags=[(274, "H", 1, 6, True)]), np.rot90(GRAY, -1)),
        (tiff(GRAY, byteorder=">", extratags=[(274, "H", 1, 3, True)]), np.rot90(GRAY, 2)),
    ],
)
def test_tiff_in_its_many_forms(data: bytes, expected: np.ndarray):
    np.testing.assert_array_equal(decode_image(data, Path("a.tif")).pixels, expected)


@pytest.mark.parametrize(("compression", "pack"), [("zlib", zlib.compress), ("lzma", lzma.compress)])
def test_a_tiff_whose_strip_unpacks_to_more_than_the_image_is_refused(compression: str, pack: Callable):
    file = bytearray(tiff(GRAY, compression=compression))
    with tifffile.TiffFile(io.BytesIO(bytes(file))) as opened:
        offset, count = (opened.pages.first.tags[code].valueoffset for code in (273, 279))
    strip = pack(bytes(100 * GRAY.size))
    struct.pack_into("<I", file, offset, len(file))
    struct.pack_into("<I", file, count, len(strip))
    with pytest.raises(UnreadableImage, match="more than its image"):
        decode_image(bytes(file) + strip, Path("a.tif"))


def test_a_tiff_that_opencv_decodes_is_turned_once():
    """A palette is left to OpenCV, which turns the image by itself unless it is kept from it."""
    colormap = RNG.integers(0, 256, (3, 256)).astype(np.uint16) * 257
    data = tiff(GRAY, photometric="palette", colormap=colormap, extratags=[(274, "H", 1, 6, True)])
    expected = np.rot90((colormap // 257).T.astype(np.uint8)[GRAY], -1)
    np.testing.assert_array_equal(decode_image(data, Path("a.tif")).pixels, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.uint32])
def test_other_values_than_8_or_16_bit_are_refused_with_the_cure(tmp_path: Path, dtype: type):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(GRAY.astype(dtype)))
    with pytest.raises(UnreadableImage, match=f"{np.dtype(dtype)} values; save it as 8- or 16-bit"):
        read_image(path)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp", ".tif", ".webp", ".ppm"])
@pytest.mark.parametrize("share", [0, 0.05, 0.5, 0.97])
def test_a_file_cut_in_the_middle_is_named(tmp_path: Path, ending: str, share: float):
    path = save(tmp_path / f"teil{ending}", COLOUR)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UnreadableImage, match=r"teil\.\w+: .*; copy it again .*--skip-bad") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "options", [{"planarconfig": "separate"}, {"compression": "zlib"}, {"tile": (16, 16)}]
)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_tiff_cut_in_the_middle_is_damaged(options: dict, share: float):
    pixels = np.moveaxis(COLOUR, -1, 0).copy() if "planarconfig" in options else COLOUR
    data = tiff(pixels, photometric="rgb", **options)
    with pytest.raises(UnreadableImage):
        decode_image(data[: int(len(data) * share)], Path("a.tif"))


def test_what_is_no_image_or_not_there(tmp_path: Path):
    text = tmp_path / "a.png"
    text.write_text("an image was promised")
    with pytest.raises(UnreadableImage, match="not an image"):
        read_image(text)
    with pytest.raises(UnreadableImage, match="check the path"):
        read_image(tmp_path / "none.png")


def test_masks_of_any_values(tmp_path: Path):
    shape = np.zeros((20, 30), np.uint8)
    shape[5:9, 4:20] = 1
    for index, mask in enumerate(
        [
            shape,
            shape * 255,
            shape * 200,
            np.dstack([shape * 128, shape * 0, shape * 0]),
            shape * np.uint16(65535),
        ]
    ):
        np.testing.assert_array_equal(read_mask(save(tmp_path / f"{index}.png", mask)), shape)
    rgba = np.dstack([shape * 255] * 3 + [np.full_like(shape, 255)])
    np.testing.assert_array_equal(read_mask(save(tmp_path / "rgba.png", rgba)), shape)
    labels = shape.copy()
    labels[5:9, 6:18] = np.arange(12) + 2
    np.testing.assert_array_equal(read_mask(save(tmp_path / "labels.png", labels)), shape)


def test_noise_around_a_jpeg_mask_and_smoothed_outlines_are_not_defect(tmp_path: Path):
    mask = np.zeros((64, 64), np.uint8)
    cv2.circle(mask, (30, 30), 12, 255, -1)
    path = save(tmp_path / "a.jpg", mask)
    assert len(np.unique(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))) > 8
    assert (read_mask(path) != (mask > 0)).sum() <= 4
    smooth = cv2.GaussianBlur(mask, (0, 0), 2)
    np.testing.assert_array_equal(read_mask(save(tmp_path / "b.png", smooth)), smooth >= 128)


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 64), st.integers(1, 64))
def test_fit_box_is_inside_centred_and_touches_two_sides(height: int, width: int, rows: int, columns: int):
    top, left, h, w = fit_box((height, width), (rows, columns), True)
    assert 0 <= top <= (rows - h + 1) / 2
    assert 0 <= left <= (columns - w + 1) / 2
    assert h == rows or w == columns
    assert abs(h - min(rows, columns * height / width)) <= 1
    assert abs(w - min(columns, rows * width / height)) <= 1


def test_resize_averages_areas_when_shrinking():
    image = RNG.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    small = resize_image(image, (20, 20))
    expected = image.reshape(20, 3, 20, 4, 3).mean((1, 3))
    assert np.abs(small - expected).max() <= 0.5 + 1e-6


def test_resize_averages_along_the_axis_that_shrinks_while_the_other_grows():
    stripes = np.zeros((10, 80), np.uint8)
    stripes[:, ::4] = 200
    mixed = resize_image(stripes, (20, 20))
    np.testing.assert_array_equal(mixed, np.full((20, 20), 50))


def test_keeping_the_aspect_fills_with_the_border_and_says_where():
    image = np.tile(np.arange(40, dtype=np.uint8)[:, None, None], (1, 20, 3))
    filled, valid = resize_image(image, (40, 60), True), valid_pixels(image.shape, (40, 60), True)
    assert valid is not None
    assert valid.sum() == 40 * 20
    np.testing.assert_array_equal(filled[valid].reshape(40, 20, 3), image)
    np.testing.assert_array_equal(filled[:, 0], filled[:, 20])
    np.testing.assert_array_equal(filled[:, -1], filled[:, 39])


def test_everything_is_valid_without_a_filled_border_or_masks():
    assert valid_pixels((60, 80, 3), (20, 20)) is None


@pytest.mark.parametrize("keep_aspect", [False, True])
def test_what_is_ignored_and_what_lies_outside_the_region_of_interest_is_not_valid(keep_aspect: bool):
    ignore, roi = np.zeros((8, 8), np.uint8), np.zeros((40, 20), np.uint8)
    ignore[:, 6:] = 1
    roi[20:] = 1
    expected = np.zeros((32, 64), bool)
    expected[16:, slice(24, 36) if keep_aspect else slice(0, 48)] = True
    np.testing.assert_array_equal(valid_pixels((100, 50), (32, 64), keep_aspect, ignore, roi), expected)


def test_the_networks_input_has_the_bits_that_torch_would_give():
    images = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    found = torch.from_numpy(network_input(images))
    assert torch.equal(found, torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255)


@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4])
def test_an_array_is_read_as_a_file_of_it_would_be(channels: int | None):
    shape = (20, 30) if channels is None else (20, 30, channels)
    pixels = RNG.integers(0, 256, shape, dtype=np.uint8)
    composed = compose(pixels[::-1, ::-1], "frame")
    options = {"photometric": "rgb"} if channels in (3, 4) else {"photometric": "minisblack", "planarconfig": "contig"}
    file = tiff(pixels[::-1, ::-1].squeeze(), **(options if channels and channels > 1 else {}))
    np.testing.assert_array_equal(composed.pixels, decode_image(file, Path("a.tif")).pixels)
    assert composed.channels == (channels or 1)


@pytest.mark.parametrize("pixels", [GRAY / 255, GRAY[None, None], GRAY[:0], np.dstack([GRAY] * 5)])
def test_an_array_that_is_no_image_is_refused(pixels: np.ndarray):
    with pytest.raises(UnreadableImage, match="frame: (holds float64|has)"):
        compose(pixels, "frame")


def test_plain_shapes_keep_their_area_and_place():
    mask = np.zeros((100, 100), np.uint8)
    mask[20:60, 40:80] = 1
    expected = np.zeros((25, 50), np.uint8)
    expected[5:15, 20:40] = 1
    np.testing.assert_array_equal(resize_mask(mask, (25, 50)), expected)


@pytest.mark.parametrize("keep_aspect", [False, True])
def test_a_speck_of_four_pixels_does_not_vanish(keep_aspect: bool):
    mask = np.zeros((1024, 768), np.uint8)
    mask[501:503, 301:303] = 1
    small = resize_mask(mask, (128, 128), keep_aspect)
    top, left, height, width = fit_box(mask.shape, (128, 128), keep_aspect)
    assert 1 <= small.sum() <= 4
    assert small[top + 502 * height // 1024, left + 302 * width // 768] == 1


def test_a_scratch_thinner_than_half_a_pixel_stays_a_line():
    mask = np.zeros((512, 512), np.uint8)
    mask[101, 50:450] = 1
    small = resize_mask(mask, (120, 120))  # a pixel covers 4 or 5 of the scratch's
    rows, columns = np.nonzero(small)
    np.testing.assert_array_equal(np.unique(rows), [101 * 120 // 512])
    np.testing.assert_array_equal(columns, np.arange(columns[0], columns[0] + len(columns)))
    assert abs(len(columns) - 400 * 120 / 512) <= 2


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(4, 70), st.integers(4, 70), st.booleans())
def test_no_component_vanishes_and_nothing_appears_elsewhere(seed: int, rows: int, columns: int, keep: bool):
    rng = np.random.default_rng(seed)
    mask = (rng.random((48, 60)) < rng.choice([0.002, 0.02, 0.2, 0.7])).astype(np.uint8)
    resized = resize_mask(mask, (rows, columns), keep)
    assert set(np.unique(resized)) <= {0, 1}
    top, left, height, width = fit_box(mask.shape, (rows, columns), keep)
    outside = resized.copy()
    outside[top : top + height, left : left + width] = 0
    assert outside.sum() == 0
    box = resized[top : top + height, left : left + width]
    count, labels = cv2.connectedComponents(mask, connectivity=8)
    reach = cv2.getStructuringElement(cv2.MORPH_RECT, (3, 3))
    grown = np.zeros_like(box)
    for label in range(1, count):
        ys, xs = np.nonzero(labels == label)
        own = np.zeros_like(box)
        y0, y1 = ys * height // 48, ((ys + 1) * height - 1) // 48
        x0, x1 = xs * width // 60, ((xs + 1) * width - 1) // 60
        for a, b, c, d in zip(y0, y1, x0, x1, strict=True):
            own[a : max(a, b) + 1, c : max(c, d) + 1] = 1
        assert (own & box).any()
        grown |= own
    assert not (box & ~cv2.dilate(grown, reach) & 1).any()


def test_real_masks_at_half_size_are_half_covered_blocks(shared: Path):
    for path in sorted((shared / "mvtec_ad" / "grid" / "ground_truth" / "thread").iterdir()):
        mask = read_mask(path)
        blocks = mask.reshape(256, 2, 256, 2).mean((1, 3)) >= 0.5
        np.testing.assert_array_equal(resize_mask(mask, (256, 256)), blocks)


@pytest.mark.parametrize(
    ("shape", "expected"), [((300, 600), (64, 128)), ((600, 300), (128, 64)), ((2, 900), (1, 128))]
)
def test_shrink_keeps_the_proportions_and_the_mean(rng, shape, expected):
    image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    small = shrink(image, 128)
    assert small.shape == (*expected, 3)
    np.testing.assert_allclose(small.mean((0, 1)), image.mean((0, 1)), atol=2)


def test_shrink_never_enlarges(rng):
    image = rng.integers(0, 256, (40, 128, 3), dtype=np.uint8)
    assert shrink(image, 128) is image


def test_a_mask_is_read_as_it_was_encoded(rng, tmp_path):
    mask = rng.integers(0, 2, (30, 41), dtype=np.uint8)
    (tmp_path / "mask.png").write_bytes(encode_mask(mask))
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), mask)
