"""Files: each way of being broken or odd is named, and a whole plain file is not."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from protores import cli
from protores.data.finders.files import FORMAT_ENDINGS
from protores.data.image import ENDINGS
from protores.settings import DataSettings

Draw = Callable[..., Path]
STORAGE = ("animated", "cmyk", "palette", "16-bit", "exif-rotated", "wrong-ending", "not-read")


@pytest.fixture
def good(mvtec: Path) -> Path:
    return mvtec / "train" / "good"


@pytest.fixture
def photo() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8))


def test_plain_files_are_not_remarked_on(mvtec: Path, found):
    assert not set(STORAGE) & set(found(mvtec))


def test_every_ending_has_its_format():
    assert set(FORMAT_ENDINGS) == ENDINGS


@pytest.mark.parametrize(
    ("content", "rule", "told"),
    [
        (b"", "empty-file", "the file is empty"),
        (bytes(500), "empty-file", "the file is empty"),
        (b"GIF89a nothing", "unreadable", "damaged, or not an image"),
        (b"not an image at all", "unreadable", "damaged, or not an image"),
        (None, "truncated", "cut off"),
    ],
)
@pytest.mark.parametrize("where", ["train/good/005.png", "ground_truth/dent/002_mask.png"])
def test_what_cannot_be_read_is_an_error(mvtec: Path, found, content: bytes | None, rule: str, told: str, where: str):
    path = mvtec / where
    path.write_bytes(path.read_bytes()[:-20] if content is None else content)
    (problem,) = found(mvtec)[rule]
    assert (problem.severity, problem.paths) == ("error", (path,))
    assert problem.message.startswith(told)
    assert "--skip-bad" in problem.cure


def test_a_mask_of_another_size_and_one_without_an_image(mvtec: Path, found, write):
    wrong = write(mvtec / "ground_truth/dent/001_mask.png", np.zeros((12, 32), np.uint8))
    orphan = write(mvtec / "ground_truth/dent/777_mask.png", np.zeros((24, 32), np.uint8))
    rules = found(mvtec)
    assert rules["mask-size"][0].paths == (wrong,)
    assert "32 x 12" in rules["mask-size"][0].message
    assert rules["mask-orphan"][0].paths == (orphan,)


def test_a_mask_drawn_on_the_image_as_it_is_stored(mvtec: Path, found, photo: Image.Image):
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.save(mvtec / "test/dent/001.png", exif=exif)
    rules = found(mvtec)
    assert "24 x 32, turned as its EXIF tag says" in rules["mask-size"][0].message


@pytest.mark.skipif(sys.platform != "linux", reason="other file systems refuse such a name themselves")
def test_a_name_that_is_no_utf8(mvtec: Path, found, capsys, monkeypatch):
    good = mvtec / "train" / "good"
    path = (good / "003.png").rename(Path(os.fsdecode(os.fsencode(good) + b"/pr\xfcfling.png")))
    (problem,) = found(mvtec)["name"]
    assert (problem.severity, problem.paths) == ("error", (path,))
    monkeypatch.setattr("sys.argv", ["protores", "check", str(mvtec)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 1
    assert "pr?fling.png: its name holds" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["ignore", "roi"])
def test_an_unreadable_mask_of_what_counts(mvtec: Path, found, name: str):
    (problem,) = found(mvtec, DataSettings(**{name: mvtec / "none.png"}))["unreadable"]
    assert problem.paths == (mvtec / "none.png",)
    assert "check the path" in problem.cure


def test_animated(good: Path, mvtec: Path, found, photo: Image.Image):
    more = {"save_all": True, "append_images": [photo.rotate(180)]}
    photo.save(good / "a.png", **more)
    photo.save(good / "b.webp", **more)
    photo.save(good / "c.tif", **more)
    tifffile.imwrite(good / "pyramid.tif", np.asarray(photo), photometric="rgb")
    tifffile.imwrite(good / "pyramid.tif", np.asarray(photo)[::2, ::2], photometric="rgb", append=True, subfiletype=1)
    (problem,) = found(mvtec)["animated"]
    assert problem.severity == "warning"
    assert {path.name for path in problem.paths} == {"a.png", "b.webp", "c.tif"}


def test_inks(good: Path, mvtec: Path, found, photo: Image.Image):
    photo.convert("CMYK").save(good / "a.jpg")
    photo.convert("CMYK").save(good / "b.tif")
    photo.save(good / "c.jpg")
    (problem,) = found(mvtec)["cmyk"]
    assert (problem.severity, {path.name for path in problem.paths}) == ("warning", {"a.jpg", "b.tif"})


def test_palette(good: Path, mvtec: Path, found, photo: Image.Image):
    for name in ("a.png", "b.bmp", "c.tif"):
        photo.convert("P").save(good / name)
    photo.convert("L").save(good / "gray.bmp")
    (problem,) = found(mvtec)["palette"]
    assert (problem.severity, {path.name for path in problem.paths}) == ("note", {"a.png", "b.bmp", "c.tif"})


def test_16_bits(good: Path, mvtec: Path, found, write):
    write(good / "a.png", np.full((24, 32), 1000, np.uint16))
    (problem,) = found(mvtec)["16-bit"]
    assert problem.paths == (good / "a.png",)
    assert "read as 10 bits deep" in problem.message


def test_rotated_by_exif(good: Path, mvtec: Path, found, photo: Image.Image):
    exif = Image.Exif()
    exif[0x0112] = 3
    for name in ("a.jpg", "b.png", "c.webp", "d.tif"):
        photo.save(good / name, exif=exif)
    (problem,) = found(mvtec)["exif-rotated"]
    assert {path.name for path in problem.paths} == {"a.jpg", "b.png", "c.webp", "d.tif"}


def test_wrong_ending_of_image_and_mask(good: Path, mvtec: Path, found, photo: Image.Image):
    photo.save(good / "a.png", "JPEG")
    photo.convert("L").point(lambda v: 255 * (v > 250)).save(mvtec / "ground_truth/dent/000_mask.png", "BMP")
    problems = found(mvtec)["wrong-ending"]
    assert [(p.paths[0].name, p.message) for p in problems] == [
        ("000_mask.png", "a BMP file by its content"),
        ("a.png", "a JPEG file by its content"),
    ]


def test_an_image_that_is_left_alone_for_its_ending(good: Path, mvtec: Path, found, photo: Image.Image):
    photo.save(good / "a.gif")
    photo.save(good / "b.jfif", "JPEG")
    (good / "notes.txt").write_text("BM is how a bitmap begins")
    (good / "camera.log").write_text("all well")
    assert [(p.paths[0].name, p.severity) for p in found(mvtec)["not-read"]] == [
        ("a.gif", "warning"),
        ("b.jfif", "warning"),
    ]


def test_a_rotated_or_palette_image_has_the_pixels_that_a_viewer_shows(good: Path, photo: Image.Image):
    """What is only remarked on is read right."""
    from protores.data.image import read_image

    exif = Image.Exif()
    exif[0x0112] = 8
    photo.save(good / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(good / "a.png"), np.rot90(np.asarray(photo)))
    photo.convert("P").save(good / "b.png")
    np.testing.assert_array_equal(read_image(good / "b.png"), np.asarray(photo.convert("P").convert("RGB")))
    inks = photo.resize((8, 6)).resize((32, 24), Image.Resampling.BILINEAR).convert("CMYK")
    inks.save(good / "c.tif")
    off = read_image(good / "c.tif").astype(int) - np.asarray(inks.convert("RGB"))
    assert np.abs(off).max() <= 2
