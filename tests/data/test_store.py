import hashlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from protores.data.image import read_image, read_mask, resize_image, resize_mask, valid_pixels
from protores.data.layouts import recognise
from protores.data.record import load
from protores.data.sample import Sample
from protores.data.store import ImageStore, in_parallel
from protores.errors import DataError, UnreadableImage

Draw = Callable[..., Path]


def encode(path: Path, image: np.ndarray, *options: int) -> Path:
    path.write_bytes(cv2.imencode(path.suffix, image, options)[1].tobytes())
    return path


def test_store_holds_what_reading_one_by_one_gives(mvtec: Path):
    dataset = recognise(mvtec)
    calls: list[tuple[int, int]] = []
    store = ImageStore.build(
        dataset.samples,
        (32, 48),
        True,
        16,
        threads=3,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls == [(i, 23) for i in range(1, 24)]
    assert len(store) == 23
    assert store.images.shape == (23, 32, 48, 3)
    assert store.masks.shape == (23, 32, 48)
    assert store.valid is not None
    for i, sample in enumerate(dataset.samples):
        image = read_image(sample.path)
        np.testing.assert_array_equal(store.images[i], resize_image(image, (32, 48), True))
        np.testing.assert_array_equal(store.valid[i], valid_pixels(image.shape, (32, 48), True))
        assert store.records[i].sample is sample
        assert store.records[i].sha256 == hashlib.sha256(sample.path.read_bytes()).hexdigest()
        assert store.has_mask[i] == (sample.mask is not None) == (store.masks[i].sum() > 0)
        if sample.mask:
            np.testing.assert_array_equal(store.masks[i], resize_mask(read_mask(sample.mask), (32, 48), True))
            assert store.records[i].defect_pixels == 36


def test_nothing_is_invalid_without_padding_or_ignore(mvtec: Path):
    assert ImageStore.build(recognise(mvtec).samples, (16, 16), False, 16).valid is None


@pytest.mark.parametrize("keep_aspect", [False, True])
def test_ignore_counts_nowhere(tmp_path: Path, mvtec: Path, keep_aspect: bool):
    ignore = np.zeros((24, 32), np.uint8)
    ignore[:, 16:] = 255
    path = encode(tmp_path / "ignore.png", ignore)
    store = ImageStore.build(recognise(mvtec).samples[:2], (48, 48), keep_aspect, 16, ignore=path)
    expected = np.zeros((48, 48), bool)
    expected[slice(6, 42) if keep_aspect else slice(None), :24] = True
    assert store.valid is not None
    np.testing.assert_array_equal(store.valid, [expected, expected])


def test_outside_the_region_of_interest_nothing_counts(tmp_path: Path, mvtec: Path):
    roi, ignore = np.zeros((24, 32), np.uint8), np.zeros((24, 32), np.uint8)
    roi[:, 8:], ignore[:, 16:] = 255, 255
    masks = encode(tmp_path / "ignore.png", ignore), encode(tmp_path / "roi.png", roi)
    store = ImageStore.build(recognise(mvtec).samples[:2], (48, 48), False, 16, *masks)
    expected = np.zeros((48, 48), bool)
    expected[:, 12:24] = True
    assert store.valid is not None
    np.testing.assert_array_equal(store.valid, [expected, expected])


def test_pixels_recognise_copies_that_lost_nothing(tmp_path: Path):
    gray = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
    colour = np.dstack([gray, 255 - gray, gray])
    copies = [
        encode(tmp_path / "a.png", gray),
        encode(tmp_path / "b.png", gray, cv2.IMWRITE_PNG_COMPRESSION, 9),
        encode(tmp_path / "c.bmp", gray),
        encode(tmp_path / "d.tif", gray),
        encode(tmp_path / "e.png", np.dstack([gray] * 3)),
        encode(tmp_path / "f.png", np.dstack([gray] * 3 + [np.full_like(gray, 255)])),
    ]
    others = [
        encode(tmp_path / "g.png", gray.T.copy()),
        encode(tmp_path / "h.png", gray ^ (np.arange(30) == 7).astype(np.uint8)),
        encode(tmp_path / "i.png", gray.astype(np.uint16)),
        encode(tmp_path / "j.png", colour),
        encode(tmp_path / "k.png", colour[..., [1, 0, 2]]),
        encode(tmp_path / "l.png", gray.reshape(30, 20)),
    ]

    def hashes(paths: list[Path], which: str) -> set[str]:
        return {getattr(load(Sample(path, "good", "train"), 16).record, which) for path in paths}

    assert len(hashes(copies, "pixels")) == 1
    assert len(hashes(copies[:2], "sha256")) == 2
    assert len(hashes(copies + others, "pixels")) == 1 + len(others)


def test_record_says_how_the_file_is_stored(tmp_path: Path):
    rgba = encode(tmp_path / "a.png", np.zeros((20, 30, 4), np.uint16))
    record = load(Sample(rgba, "good", "train"), 16).record
    assert (record.height, record.width, record.bits, record.channels) == (20, 30, 16, 4)


def test_a_truncated_image_among_200_is_named_and_left_out(tmp_path: Path, draw: Draw):
    samples = [Sample(draw(tmp_path / f"{i:03}.png"), "good", "train") for i in range(200)]
    broken = samples[123].path
    broken.write_bytes(broken.read_bytes()[:300])
    store = ImageStore.build(samples, (8, 8), True, 16)
    assert [skipped.sample for skipped in store.skipped] == [samples[123]]
    with pytest.raises(UnreadableImage, match="123.png: cut off.*--skip-bad"):
        raise store.skipped[0].error
    whole = samples[:123] + samples[124:]
    assert [record.sample for record in store.records] == whole
    assert store.valid is not None
    assert len(store.valid) == len(store.has_mask) == 199
    np.testing.assert_array_equal(
        store.images[123], resize_image(read_image(whole[123].path), (8, 8), True)
    )


def test_an_unreadable_mask_counts_as_an_unreadable_image(mvtec: Path):
    mask = mvtec / "ground_truth/dent/001_mask.png"
    mask.write_bytes(b"")
    samples = recognise(mvtec).samples
    (skipped,) = ImageStore.build(samples, (8, 8), False, 16).skipped
    assert skipped.sample.path.name == "001.png"
    assert isinstance(skipped.error, UnreadableImage)
    assert "001_mask.png: the file is empty" in str(skipped.error)


def test_a_mask_of_another_size_names_both(mvtec: Path):
    mask = encode(mvtec / "ground_truth/dent/001_mask.png", np.zeros((12, 32), np.uint8))
    message = rf"{mask.name}: this mask is 32 x 12 pixels but its image .*dent.001.png is 32 x 24; export"
    (skipped,) = ImageStore.build(recognise(mvtec).samples, (8, 8), False, 16).skipped
    assert not isinstance(skipped.error, UnreadableImage)
    with pytest.raises(DataError, match=message):
        raise skipped.error


def test_parallel_keeps_order_and_raises_the_first_error():
    assert in_parallel(lambda x: x * x, range(50), threads=4) == [x * x for x in range(50)]

    def fail(x: int) -> int:
        if x in (7, 30):
            raise DataError(f"{x}")
        return x

    with pytest.raises(DataError, match="^7$"):
        in_parallel(fail, range(50), threads=4)


def test_real_images_of_many_sizes(shared: Path):
    samples = recognise(shared / "magnetic_tile").samples[::40]
    store = ImageStore.build(samples, (96, 64), True, 16)
    assert store.valid is not None
    assert store.valid[:].any((1, 2)).all()
    assert not (store.masks[:].astype(bool) & ~store.valid[:]).any()
    bad = [not record.sample.is_good for record in store.records]
    np.testing.assert_array_equal(store.masks[:].any((1, 2)), bad)
