"""Where a product's decoded images are kept, and what is said of it."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from protores import presets, product
from protores.data import cache
from protores.product import open_product
from protores.progress import Progress


class Told(Progress):
    def __init__(self):
        self.notes: list[str] = []

    def note(self, line: str) -> None:
        self.notes.append(line)


@pytest.fixture
def opened(tiny_product, tiny):
    def open_with(**overrides):
        told = Told()
        settings = presets.load("quick", tiny | {"data.root": tiny_product} | overrides)
        return open_product(settings, False, told)[0], told.notes

    return open_with


def files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def test_decoded_images_are_kept_where_the_settings_say(opened, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    in_memory, _ = opened(**{"data.cache": "none"})
    assert not files(tmp_path)
    images = in_memory.store.images[:]
    for setting, folder in ({}, tmp_path / "user"), ({"data.cache": tmp_path / "own"}, tmp_path / "own"):
        found, _ = opened(**setting)
        assert files(folder) == len(images)
        np.testing.assert_array_equal(found.store.images, images)
        np.testing.assert_array_equal(found.store.masks, in_memory.store.masks)


def test_people_are_told_of_gigabytes(opened, tmp_path, monkeypatch):
    monkeypatch.setattr(product, "TOLD", 0)
    setting = {"data.cache": tmp_path}
    assert [line for line in opened(**setting)[1] if "0.0 GB of decoded images were put into" in line]
    assert not [line for line in opened(**setting)[1] if "decoded images" in line]


def test_where_the_cache_cannot_be_written_images_stay_in_memory_and_one_line_says_so(opened, tmp_path, monkeypatch):
    def full(source, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    expected = opened(**{"data.cache": "none"})[0].store.images[:]
    monkeypatch.setattr(cache.os, "replace", full)
    found, notes = opened(**{"data.cache": tmp_path})
    (line,) = [line for line in notes if "in memory" in line]
    assert line.startswith(f"decoded images stay in memory since {tmp_path} cannot be written (No space left")
    assert line.endswith("name another folder with --set data.cache=DIR")
    np.testing.assert_array_equal(found.store.images, expected)
    assert not files(tmp_path)


def test_masks_that_count_leave_out_what_is_ignored(opened, tmp_path):
    import cv2

    ignore = np.zeros((64, 64), np.uint8)
    ignore[:, 20:] = 255
    cv2.imwrite(str(tmp_path / "ignore.png"), ignore)
    seen = opened(**{"data.ignore": tmp_path / "ignore.png"})[0].role("seen")
    masks = seen.counting_masks[:]
    assert not masks[:, :, 20:].any()
    np.testing.assert_array_equal(masks[:, :, :20], seen.masks[:][:, :, :20])
    np.testing.assert_array_equal(seen.ignored(), ~seen.valid[:])
