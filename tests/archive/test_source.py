"""Listing and reading: one order, no litter, and what is one file's trouble is told from what is the whole store's."""

import errno
import os
import zipfile
from pathlib import Path

import fsspec
import pytest

from protores.archive import source as module
from protores.archive.source import Source
from protores.errors import DataError, UnreadableImage


def put(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


NAMES = ("b.png", "a/2.JPG", "a/10.tiff", "a/1.png", "c/d/e.webp")
LISTED = ["a/1.png", "a/10.tiff", "a/2.JPG", "b.png", "c/d/e.webp"]


def test_images_are_listed_sorted_and_without_litter(tmp_path):
    put(tmp_path, *NAMES, ".hidden.png", ".git/x.png", "notes.txt", "Thumbs.db", "folder.png/inside.txt")
    assert list(Source(str(tmp_path)).paths()) == LISTED
    assert list(Source(f"file://{tmp_path}").paths()) == LISTED
    assert Source(f"file://{tmp_path}/").url == Source(str(tmp_path)).url == str(tmp_path)


def test_another_process_finds_it_from_another_folder(tmp_path, monkeypatch):
    put(tmp_path, *NAMES)
    monkeypatch.chdir(tmp_path / "a")
    address = Source("../c").address
    monkeypatch.chdir(tmp_path)
    assert list(Source(address).paths()) == ["d/e.webp"]


def test_a_zip_is_listed_and_read_like_its_folder(tmp_path):
    put(tmp_path / "images", *NAMES)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for name in NAMES:
            file.write(tmp_path / "images" / name, name)
    source = Source(f"zip::{tmp_path / 'a.zip'}")
    assert list(source.paths()) == LISTED
    assert source.read("c/d/e.webp") == b"c/d/e.webp"
    assert source.is_shared


def test_memory_is_of_one_process():
    fsspec.filesystem("memory").pipe("/archive/x/1.png", b"bytes")
    source = Source("memory://archive")
    assert list(source.paths()) == ["x/1.png"]
    assert source.read("x/1.png") == b"bytes"
    assert not source.is_shared


def test_links_are_followed_but_not_in_circles(tmp_path):
    put(tmp_path, "archive/a/1.png", "elsewhere/2.png")
    (tmp_path / "archive" / "b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "archive" / "a" / "up").symlink_to(tmp_path / "archive")
    (tmp_path / "archive" / "a" / "here").symlink_to(".")
    (tmp_path / "archive" / "dangling.png").symlink_to("nowhere")
    assert list(Source(str(tmp_path / "archive")).paths()) == ["a/1.png", "b/2.png", "dangling.png"]


@pytest.mark.skipif(os.name == "nt", reason="file names there are text")
def test_a_name_that_is_no_text_is_listed_and_read(tmp_path):
    (tmp_path / os.fsdecode(b"\xff.png")).write_bytes(b"bytes")
    source = Source(str(tmp_path))
    (path,) = source.paths()
    assert source.read(path) == b"bytes"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("nowhere", "nowhere: no such folder; name a folder"),
        ("nonsense://x", "nonsense://x cannot be opened .*; check the URL"),
        ("zip::nowhere.zip", "nowhere.zip cannot be opened .*; check the URL"),
        ("ftp://name:secret@127.0.0.1:1/x", r"ftp://127\.0\.0\.1:1/x cannot be opened"),
    ],
)
def test_what_cannot_be_opened_is_one_line(url, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=told) as raised:
        Source(url)
    assert "\n" not in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_missing_driver_is_told(monkeypatch):
    def missing(url):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(module.fsspec, "url_to_fs", missing)
    with pytest.raises(DataError, match="s3://bucket/x: its driver is missing .Install s3fs.*; pip install it"):
        Source("s3://bucket/x")


def test_a_folder_that_cannot_be_listed_ends_the_listing(tmp_path, monkeypatch):
    put(tmp_path, "a/1.png", "b/2.png")
    listing = module._local_entries

    def refuse(place):
        if place.endswith("/b"):
            raise PermissionError(errno.EACCES, "Permission denied", place)
        return listing(place)

    monkeypatch.setattr(module, "_local_entries", refuse)
    with pytest.raises(DataError, match="b/ cannot be listed .Permission denied.; check its rights"):
        list(Source(str(tmp_path)).paths())


# Reading


@pytest.fixture
def store(tmp_path, monkeypatch):
    """store(*failures): a source whose reads fail so, one after the other, and then succeed; nobody waits."""
    put(tmp_path, "1.png", "2.png")
    monkeypatch.setattr(module, "WAITS", (0.0, 0.0, 0.0))
    source = Source(str(tmp_path))

    def failing(*failures: Exception) -> Source:
        left, read = list(failures), source.fs.cat_file

        def cat_file(path):
            if left:
                raise left.pop(0)
            return read(path)

        monkeypatch.setattr(source.fs, "cat_file", cat_file)
        return source

    return failing


@pytest.mark.parametrize(
    "error", [FileNotFoundError(), PermissionError(), IsADirectoryError(), OSError(errno.EIO, "Input/output error")]
)
def test_one_files_trouble_is_that_files(store, error):
    source = store(error)
    with pytest.raises(UnreadableImage, match=r"^1\.png: .*; check the file"):
        source.read("1.png")
    assert source.read("2.png") == b"2.png"


def test_a_store_that_stumbles_is_asked_again(store):
    assert store(TimeoutError(), ConnectionError("reset"), RuntimeError("503")).read("1.png") == b"1.png"


def test_a_store_that_stays_silent_ends_the_work_and_marks_no_image(store):
    with pytest.raises(DataError, match=r"does not answer \(503\); the same command goes on") as raised:
        store(*[RuntimeError("503")] * 4).read("1.png")
    assert not isinstance(raised.value, UnreadableImage)


def test_a_folder_that_was_unmounted_ends_the_work_and_marks_no_image(tmp_path):
    source = Source(str(put(tmp_path / "disk", "1.png")))
    (tmp_path / "disk" / "1.png").unlink()
    with pytest.raises(DataError, match="is gone; the same command goes on once it is back") as raised:
        source.read("1.png")
    assert not isinstance(raised.value, UnreadableImage)
