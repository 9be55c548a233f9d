from collections.abc import Callable
from pathlib import Path

import pytest

from protores.data.layouts import recognise, survey
from protores.data.sample import Dataset
from protores.errors import DataError

Draw = Callable[..., Path]


def table(dataset: Dataset) -> list[tuple[str, str, str, str | None]]:
    """Path, kind, part and mask of every sample, the paths relative to the root."""

    def short(path: Path | None) -> str | None:
        return None if path is None else path.relative_to(dataset.root).as_posix()

    return [(short(s.path) or "", s.kind, s.part, short(s.mask)) for s in dataset.samples]


def test_mvtec_ad(tmp_path: Path, draw: Draw):
    draw(tmp_path / "train/good/000.jpg")
    draw(tmp_path / "test/good/000.png")
    draw(tmp_path / "test/mein Kratzer/Teil.1.BMP".replace("BMP", "bmp"))
    draw(tmp_path / "test/mein Kratzer/Teil.2.tif")
    draw(tmp_path / "test/mein Kratzer/Teil.3.png")
    draw(tmp_path / "ground_truth/mein Kratzer/Teil.1_mask.png", defect=True)
    draw(tmp_path / "ground_truth/mein Kratzer/Teil.2.png", defect=True)
    for litter in ("license.txt", "test/good/Thumbs.db", "train/good/._000.jpg", ".DS_Store"):
        (tmp_path / litter).write_bytes(b"litter")
    dataset = recognise(tmp_path)
    assert (dataset.layout, dataset.has_test, dataset.kinds) == ("MVTec AD", True, ("mein Kratzer",))
    assert table(dataset) == [
        ("test/good/000.png", "good", "test", None),
        ("test/mein Kratzer/Teil.1.bmp", "mein Kratzer", "test", "ground_truth/mein Kratzer/Teil.1_mask.png"),
        ("test/mein Kratzer/Teil.2.tif", "mein Kratzer", "test", "ground_truth/mein Kratzer/Teil.2.png"),
        ("test/mein Kratzer/Teil.3.png", "mein Kratzer", "test", None),
        ("train/good/000.jpg", "good", "train", None),
    ]


def test_mvtec_ad_without_a_test_part_is_to_be_drawn(tmp_path: Path, draw: Draw):
    draw(tmp_path / "train/good/000.png")
    assert not recognise(tmp_path).has_test


def test_btad(tmp_path: Path, draw: Draw):
    draw(tmp_path / "train/ok/0000.bmp")
    draw(tmp_path / "test/ok/0001.bmp")
    draw(tmp_path / "test/ko/0002.bmp")
    draw(tmp_path / "ground_truth/ko/0002.png", defect=True)
    dataset = recognise(tmp_path)
    assert (dataset.layout, dataset.has_test) == ("BTAD", True)
    assert table(dataset) == [
        ("test/ko/0002.bmp", "ko", "test", "ground_truth/ko/0002.png"),
        ("test/ok/0001.bmp", "good", "test", None),
        ("train/ok/0000.bmp", "good", "train", None),
    ]


def dagm_half(folder: Path, draw: Draw, first: int) -> None:
    lines = ["1"]
    for number in range(first, first + 4):
        bad = number == first + 1
        draw(folder / f"{number:04}.PNG".replace("PNG", "png")).rename(folder / f"{number:04}.PNG")
        label = f"{number:04}_label.PNG" if bad else "0"
        lines.append(f"{number:04}\t{int(bad)}\t{number:04}.PNG\t0\t{label}")
        if bad:
            draw(folder / "Label" / "x.png", defect=True).rename(folder / "Label" / label)
    (folder / "Label" / "Labels.txt").write_text("\n".join(lines))


def test_dagm_with_both_halves(tmp_path: Path, draw: Draw):
    dagm_half(tmp_path / "Train", draw, 1)
    dagm_half(tmp_path / "Test", draw, 11)
    dataset = recognise(tmp_path)
    assert (dataset.layout, dataset.has_test) == ("DAGM 2007", True)
    assert [row for row in table(dataset) if row[1] != "good"] == [
        ("Test/0012.PNG", "defect", "test", "Test/Label/0012_label.PNG"),
        ("Train/0002.PNG", "defect", "train", "Train/Label/0002_label.PNG"),
    ]
    assert len(dataset.samples) == 8


def test_dagm_believes_labels_txt_when_a_label_is_lost(tmp_path: Path, draw: Draw):
    dagm_half(tmp_path / "Train", draw, 1)
    (tmp_path / "Train/Label/0002_label.PNG").unlink()
    assert ("Train/0002.PNG", "defect", "train", None) in table(recognise(tmp_path))


@pytest.mark.parametrize("folder", ["dagm/Class1", "dagm/Class1/Test"])
def test_real_dagm(shared: Path, folder: str):
    dataset = recognise(shared / folder)
    assert (dataset.layout, dataset.has_test, dataset.kinds) == ("DAGM 2007", False, ("defect",))
    assert sum(sample.is_good for sample in dataset.samples) == 70
    assert sum(sample.mask is not None for sample in dataset.samples) == 71


@pytest.mark.parametrize(
    ("folder", "good", "defects"), [("mvtec_ad/grid", 285, 57), ("magnetic_tile", 952, 388)]
)
def test_real_mvtec_layouts(shared: Path, folder: str, good: int, defects: int):
    dataset = recognise(shared / folder)
    assert (dataset.layout, dataset.has_test, len(dataset.kinds)) == ("MVTec AD", True, 5)
    assert sum(sample.is_good for sample in dataset.samples) == good
    masks = [sample.mask.stem for sample in dataset.samples if sample.mask]
    assert len(masks) == defects
    assert masks == [sample.path.stem + "_mask" for sample in dataset.samples if not sample.is_good]


def test_kolektor_with_the_stray_copies_of_the_published_archive(tmp_path: Path, draw: Draw):
    for half, first in (("train", 10300), ("test", 20000)):
        for number in range(first, first + 3):
            draw(tmp_path / half / f"{number}.png")
            if number == first + 1:
                draw(tmp_path / half / f"{number}_GT.png", defect=True)
            else:
                draw(tmp_path / half / f"{number}_GT.png", value=0)
    draw(tmp_path / "train/10301 (copy).png")
    draw(tmp_path / "train/10301_GT (copy).png", defect=True)
    dataset = recognise(tmp_path)
    assert (dataset.layout, dataset.has_test) == ("KolektorSDD2", True)
    assert table(dataset) == [
        ("test/20000.png", "good", "test", None),
        ("test/20001.png", "defect", "test", "test/20001_GT.png"),
        ("test/20002.png", "good", "test", None),
        ("train/10300.png", "good", "train", None),
        ("train/10301.png", "defect", "train", "train/10301_GT.png"),
        ("train/10302.png", "good", "train", None),
    ]
    assert [note.split(" in ")[0] for note in dataset.notes] == ["10301 (copy).png", "10301_GT (copy).png"]


def test_plain_folders_with_kinds_and_mirrored_masks(tmp_path: Path, draw: Draw):
    draw(tmp_path / "good/Montag/a.png")
    draw(tmp_path / "good/b.png")
    draw(tmp_path / "bad/dent/a.jpg")
    draw(tmp_path / "bad/scratch/a.jpg")
    draw(tmp_path / "bad/scratch/c.jpg")
    draw(tmp_path / "bad/loose.jpg")
    draw(tmp_path / "masks/dent/a.png", defect=True)
    draw(tmp_path / "masks/bad/scratch/a_mask.png", defect=True)
    draw(tmp_path / "masks/c.png", defect=True)
    dataset = recognise(tmp_path)
    assert (dataset.layout, dataset.has_test, dataset.kinds) == (
        "plain folders",
        False,
        ("bad", "dent", "scratch"),
    )
    assert table(dataset) == [
        ("bad/dent/a.jpg", "dent", "train", "masks/dent/a.png"),
        ("bad/loose.jpg", "bad", "train", None),
        ("bad/scratch/a.jpg", "scratch", "train", "masks/bad/scratch/a_mask.png"),
        ("bad/scratch/c.jpg", "scratch", "train", "masks/c.png"),
        ("good/Montag/a.png", "good", "train", None),
        ("good/b.png", "good", "train", None),
    ]


def test_plain_folders_of_good_images_alone(tmp_path: Path, draw: Draw):
    draw(tmp_path / "Good/b.png")
    draw(tmp_path / "kratzer/b.png")
    dataset = recognise(tmp_path)
    assert [sample.kind for sample in dataset.samples] == ["good"]
    assert "not read: kratzer; kinds of defects belong into" in dataset.notes[0]


def test_masks_of_good_images_are_no_error(tmp_path: Path, draw: Draw):
    draw(tmp_path / "good/g.png")
    draw(tmp_path / "bad/b.png")
    draw(tmp_path / "masks/g.png", value=0)
    draw(tmp_path / "masks/b.png", defect=True)
    dataset = recognise(tmp_path)
    assert dataset.notes == ("1 masks of good images are not read",)
    assert table(dataset)[0][3] == "masks/b.png"


@pytest.mark.parametrize("ask", [recognise, survey])
def test_folders_that_cannot_be_used(tmp_path: Path, draw: Draw, ask: Callable):
    with pytest.raises(DataError, match="none: no such folder; give"):
        ask(tmp_path / "none")
    file = draw(tmp_path / "file.png")
    with pytest.raises(DataError, match="not a folder; give"):
        ask(file)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty: there are no images in this folder; put"):
        ask(tmp_path / "empty")
    draw(tmp_path / "odd/left/a.png")
    with pytest.raises(DataError, match=r"no known layout \(found left/\); arrange it as one of MVTec AD"):
        ask(tmp_path / "odd")
    draw(tmp_path / "all/bottle/train/good/a.png")
    draw(tmp_path / "all/cable/good/a.png")
    with pytest.raises(
        DataError, match=r"whole products \(bottle, cable\); name one of them, as in .*bottle"
    ):
        ask(tmp_path / "all")


@pytest.mark.parametrize(
    "folder", ["train/good/", "bad/", "train/ok", "good/"], ids=["mvtec", "plain", "btad", "plain good"]
)
def test_no_good_images(tmp_path: Path, draw: Draw, folder: str):
    (tmp_path / folder).mkdir(parents=True)
    draw(tmp_path / ("bad/x.png" if "train" not in folder else "test/dent/x.png"))
    with pytest.raises(DataError, match="no good images in this .* layout; put some into") as caught:
        recognise(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_mask_without_its_image(mvtec: Path):
    (mvtec / "test/dent/002.png").unlink()
    with pytest.raises(DataError, match="dent.002_mask.png: a mask without its image; add"):
        recognise(mvtec)
    found = survey(mvtec)
    assert [path.name for path in found.orphans] == ["002_mask.png"]
    assert len(found.dataset.samples) == 22


def test_two_masks_that_differ_in_their_ending(mvtec: Path, draw: Draw):
    draw(mvtec / "ground_truth/dent/001_mask.bmp", defect=True)
    with pytest.raises(DataError, match="same name but for the ending; keep one of them"):
        recognise(mvtec)


def test_no_kind_of_defect_is_called_good(tmp_path: Path, draw: Draw):
    """Else its images would train as good ones."""
    draw(tmp_path / "good/1.png")
    draw(tmp_path / "bad/Good/2.png")
    with pytest.raises(DataError, match="bad.Good: no kind of defect may be called good; rename the folder"):
        recognise(tmp_path)
