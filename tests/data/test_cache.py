"""Images from the cache are those of their files, whatever happened to it in between."""

import errno
import hashlib
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protores.data import cache as module
from protores.data import record as reading
from protores.data.cache import DAY, Cache, Damaged
from protores.data.layouts import recognise
from protores.data.sample import Sample
from protores.data.store import ImageStore
from protores.errors import DataError, UnreadableImage

SIZE = (32, 48)
GENEROUS = 10**9


def build(root: Path, folder: Path | None, size: tuple[int, int] = SIZE, **options) -> ImageStore:
    cache = None if folder is None else Cache(folder, GENEROUS)
    return ImageStore.build(recognise(root).samples, size, options.pop("keep_aspect", False), 16, cache=cache)


def entries(folder: Path) -> list[Path]:
    return sorted(folder.glob("??/*"))


def assert_same(one: ImageStore, other: ImageStore) -> None:
    assert one.records == other.records
    np.testing.assert_array_equal(one.images, other.images)
    np.testing.assert_array_equal(one.masks, other.masks)
    np.testing.assert_array_equal(one.has_mask, other.has_mask)
    for mine, theirs in zip(one.looks, other.looks, strict=True):
        assert (mine.header, mine.levels, mine.contrast, mine.mask) == (
            theirs.header,
            theirs.levels,
            theirs.contrast,
            theirs.mask,
        )
        np.testing.assert_array_equal(mine.thumb, theirs.thumb)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def no_decoding(monkeypatch):
    """Call it, and from then on nothing can be decoded."""

    def forbid() -> None:
        def fail(*_):
            raise AssertionError("decoded again")

        monkeypatch.setattr(reading, "decode_image", fail)
        monkeypatch.setattr(reading, "decode_mask", fail)

    return forbid


@pytest.mark.parametrize("keep_aspect", [False, True])
def test_first_and_second_time_it_is_what_decoding_gives(mvtec, folder, no_decoding, keep_aspect):
    plain = build(mvtec, None, keep_aspect=keep_aspect)
    assert_same(build(mvtec, folder, keep_aspect=keep_aspect), plain)
    assert len(entries(folder)) == len(plain)
    no_decoding()
    assert_same(build(mvtec, folder, keep_aspect=keep_aspect), plain)


def test_real_images_of_many_sizes(shared, folder, no_decoding):
    samples = recognise(shared / "magnetic_tile").samples[::60]
    plain = ImageStore.build(samples, (96, 64), True, 16)
    ImageStore.build(samples, (96, 64), True, 16, cache=Cache(folder, GENEROUS))
    no_decoding()
    assert_same(ImageStore.build(samples, (96, 64), True, 16, cache=Cache(folder, GENEROUS)), plain)


@pytest.mark.parametrize("damage", ["cut off", "empty", "a bit", "facts", "a folder"])
def test_a_damaged_entry_is_made_anew(mvtec, folder, damage):
    plain = build(mvtec, folder)
    victim = entries(folder)[7]
    whole = victim.read_bytes()
    if damage == "a folder":
        victim.unlink()
        victim.mkdir()
        assert_same(build(mvtec, folder), plain)
        return
    changed = bytearray(whole)
    changed[{"facts": 10}.get(damage, len(whole) // 2)] ^= 1
    victim.write_bytes({"cut off": whole[:-1], "empty": b""}.get(damage, bytes(changed)))
    assert_same(build(mvtec, folder), plain)
    assert victim.read_bytes() == whole


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 255), st.integers(0, 10_000), st.booleans())
def test_no_byte_changes_unnoticed(place, change, end, has_mask):
    with tempfile.TemporaryDirectory() as home:
        entry = Cache(Path(home), GENEROUS).entry("a", "b" if has_mask else None, (8, 8), False, 8)
        thumb = np.ones((32, 32), np.float32)
        arrays = [np.ones((8, 8, 3), np.uint8), np.ones((8, 8), np.uint8)][: 1 + has_mask]
        content = entry.content({"a": 1}, thumb, *arrays)
        entry.path.parent.mkdir()
        entry.path.write_bytes(content)
        assert entry.read()[0] == {"a": 1}
        changed = bytearray(content)
        changed[place % len(content)] ^= change
        for damaged in (bytes(changed), content[: end % len(content)], content + b"0"):
            entry.path.write_bytes(damaged)
            with pytest.raises(Damaged):
                entry.read()


def test_entries_are_their_users_alone(mvtec, folder):
    build(mvtec, folder)
    assert {path.stat().st_mode & 0o777 for path in entries(folder)} == {0o600}


def test_what_is_lost_while_it_is_used_is_read_again(mvtec, folder):
    store, plain = build(mvtec, folder), build(mvtec, None)
    for path in entries(folder):
        path.unlink()
    np.testing.assert_array_equal(store.images, plain.images)
    np.testing.assert_array_equal(store.masks, plain.masks)
    assert len(entries(folder)) == len(store)


def test_what_is_lost_and_changed_is_refused(mvtec, folder, draw):
    store = build(mvtec, folder)
    for path in entries(folder):
        path.unlink()
    changed, gone = (store.records[place].sample.path for place in (3, 4))
    draw(changed, value=77)
    gone.unlink()
    with pytest.raises(DataError, match=f"{changed} changed while it was in use; restore it"):
        store.images[3]
    with pytest.raises(UnreadableImage, match=str(gone)):
        store.images[4]


def test_every_setting_content_and_decoder_has_entries_of_its_own(mvtec, folder, draw, monkeypatch):
    cache, sizes = Cache(folder, GENEROUS), {"size": SIZE, "keep_aspect": False, "depth": 16}
    paths = {
        cache.entry("a", "b", **sizes).path,
        cache.entry("b", "b", **sizes).path,
        cache.entry("a", "c", **sizes).path,
        cache.entry("a", None, **sizes).path,
        cache.entry("a", "b", **sizes | {"size": SIZE[::-1]}).path,
        cache.entry("a", "b", **sizes | {"keep_aspect": True}).path,
        cache.entry("a", "b", **sizes | {"depth": 12}).path,
    }
    assert cache.entry("a", "b", **sizes).path in paths
    monkeypatch.setattr(module, "decoder", lambda: "another")
    assert len(paths | {cache.entry("a", "b", **sizes).path}) == 8


def test_an_image_that_changed_or_was_copied(mvtec, folder, draw):
    build(mvtec, folder)
    before = len(entries(folder))
    draw(mvtec / "train/good/003.png", value=99)
    (mvtec / "train/good/copy.png").write_bytes((mvtec / "train/good/004.png").read_bytes())
    store = build(mvtec, folder)
    assert len(entries(folder)) == before + 1
    assert_same(store, build(mvtec, None))
    paths = [record.sample.path for record in store.records]
    assert (store.images[paths.index(mvtec / "train/good/003.png")] == 99).all()


def test_unreadable_images_are_told_each_time(mvtec, folder):
    (mvtec / "train/good/005.png").write_bytes(b"no image")
    for _ in range(2):
        (skipped,) = build(mvtec, folder).skipped
        assert skipped.sample.path.name == "005.png"


BUILDING = """
import hashlib, sys
from pathlib import Path
from protores.data.cache import Cache
from protores.data.layouts import recognise
from protores.data.store import ImageStore
root, folder = map(Path, sys.argv[1:3])
height, width, limit = map(int, sys.argv[3:])
for _ in range(5):
    for path in folder.glob("??/*"):
        path.unlink(missing_ok=True)
    store = ImageStore.build(recognise(root).samples, (height, width), False, 16, threads=1, cache=Cache(folder, limit))
print(hashlib.sha256(store.images[:].tobytes()).hexdigest())
"""


def test_two_processes_at_once(mvtec, folder):
    expected = hashlib.sha256(build(mvtec, None).images[:].tobytes()).hexdigest()
    command = [sys.executable, "-c", BUILDING, str(mvtec), str(folder), *map(str, (*SIZE, GENEROUS))]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=120)[0].strip() for process in processes] == [expected] * 2
    assert not list(folder.rglob("*.part"))
    assert_same(build(mvtec, folder), build(mvtec, None))


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EACCES])
def test_what_cannot_be_written_stays_in_memory(mvtec, folder, monkeypatch, reason):
    replace, written = os.replace, []

    def fail_after_three(source, target):
        if len(written) == 3:
            raise OSError(reason, os.strerror(reason))
        written.append(target)
        replace(source, target)

    monkeypatch.setattr(module.os, "replace", fail_after_three)
    cache = Cache(folder, GENEROUS)
    store = ImageStore.build(recognise(mvtec).samples, SIZE, False, 16, threads=1, cache=cache)
    assert cache.failure is not None
    assert cache.failure.errno == reason
    assert [path.suffix for path in entries(folder)] == [""] * 3
    assert_same(store, build(mvtec, None))


def test_it_is_kept_to_its_limit_and_what_was_used_longest_ago_goes(mvtec, folder):
    build(mvtec, folder)
    files = entries(folder)
    (files[0].parent / "killed.part").write_bytes(b"half")
    for age, path in enumerate([*files, files[0].parent / "killed.part"]):
        os.utime(path, (0, time.time() - DAY * (len(files) - age + 0.5)))
    os.utime(files[0].parent / "killed.part", (0, 0))
    kept = sum(path.stat().st_size for path in files[5:])
    Cache(folder, kept).tidy()
    assert entries(folder) == files[5:]
    build(mvtec, folder)  # uses all
    Cache(folder, 0).tidy()
    assert len(entries(folder)) == len(files)


def test_memory_does_not_hold_the_images(tmp_path, folder, draw):
    def peak(count: int) -> int:
        samples = [Sample(draw(tmp_path / f"{i}.png"), "good", "train") for i in range(count)]
        tracemalloc.start()
        try:
            store = ImageStore.build(samples, (256, 256), False, 16, threads=1, cache=Cache(folder, GENEROUS))
            for image in store.images:
                assert image.any()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)
    few, many = peak(20), peak(120)
    assert many - few < 100 * 12_000  # an image is 196,608 bytes, its thumb and record 6,000
