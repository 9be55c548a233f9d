"""Corrected images train, whatever they are copies of, and are tested on or calibrated by nowhere."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protores.data.added import with_added
from protores.data.layouts import ADDED, recognise
from protores.data.record import Record
from protores.data.sample import Sample
from protores.data.splits import ROLES, Split, make_split, refuse_trained
from protores.data.store import ImageStore
from protores.data.uses import Uses
from protores.errors import DataError, SplitError
from protores.settings import SplitSettings

Draw = Callable[..., Path]
ROOT = Path("/root")


def record(name: str, kind: str, part: str, content: str | None = None, masked: bool = True) -> Record:
    bad = kind != "good"
    root = Path("/feedback") if part == ADDED else ROOT
    sample = Sample(root / f"{name}.png", kind, part, root / f"{name}_mask.png" if bad and masked else None)
    return Record(sample, f"file {name}", f"pixels {content or name}", 24, 32, 8, 1, 36 if bad and masked else 0)


def added(*made: tuple) -> list[Record]:
    return [record(f"added{i}", one[0], ADDED, *one[1:]) for i, one in enumerate(made)]


def roles(split: Split) -> dict[str, str]:
    return {entry.path: entry.role for entry in split.entries}


PRODUCT = [
    *(record(f"good{i}", "good", "train") for i in range(30)),
    *(record(f"tested{i}", "good", "test") for i in range(6)),
    *(record(f"{kind}{i}", kind, "test") for kind in ("dent", "scratch") for i in range(6)),
]


@st.composite
def corrections(draw: st.DrawFn) -> list[Record]:
    """Added records, good and bad, with and without masks, copies of each other and of the product's images."""
    contents = st.sampled_from([*(one.pixels.removeprefix("pixels ") for one in PRODUCT), *"abcdef"])
    labels: dict[str, str] = {}
    made = []
    for content in draw(st.lists(contents, max_size=25)):
        is_good = labels.setdefault(content, draw(st.sampled_from(("good", "bad")))) == "good"
        kind = "good" if is_good else draw(st.sampled_from(("dent", "burr")))
        made.append((kind, content, draw(st.booleans())))
    return added(*made)


@settings(max_examples=150, deadline=None)
@given(corrections(), st.booleans(), st.integers(0, 6), st.integers(0, 2**32))
def test_what_holds_for_every_split_with_added_images(joined, has_test, seen, seed):
    wish = SplitSettings(seen=seen)
    alone = make_split(PRODUCT, has_test, wish, seed, ROOT)
    split = make_split(PRODUCT + joined, has_test, wish, seed, ROOT)
    assert split == make_split(PRODUCT + joined, has_test, wish, seed, ROOT)
    own, new = split.entries[: len(PRODUCT)], split.entries[len(PRODUCT) :]

    contents = {role: {split.entries[i].pixels for i in split.indices(role)} for role in ROLES}
    for role in ("train", "seen", "calibration", "test"):
        for other in ("train", "seen", "calibration", "test"):
            assert role == other or not contents[role] & contents[other]

    corrected = {one.pixels for one in joined}
    for before, after in zip(alone.entries, own, strict=True):
        assert after.role == ("excluded" if after.pixels in corrected else before.role)
    for one, entry in zip(joined, new, strict=True):
        assert entry.role in ("train", "seen", "excluded")
        assert entry.role != "train" or one.sample.is_good
        assert entry.role != "seen" or one.defect_pixels > 0
    usable = {one.pixels for one in joined if one.sample.is_good or one.defect_pixels}
    chosen = [entry.pixels for entry in new if entry.role != "excluded"]
    assert len(chosen) == len(set(chosen))
    assert set(chosen) == usable


def test_added_images_train_besides_the_seen_draw_and_the_rest_stays():
    joined = added(("good",), ("good",), ("burr",), ("dent",), ("dent", None, False))
    alone = make_split(PRODUCT, True, SplitSettings(seen=4), 0, ROOT)
    split = make_split(PRODUCT + joined, True, SplitSettings(seen=4), 0, ROOT)
    assert roles(alone).items() <= roles(split).items()
    new = {path: role for path, role in roles(split).items() if path.startswith("/feedback")}
    assert list(new.values()) == ["train", "train", "seen", "seen", "excluded"]
    assert split.seen_kinds == {"dent", "scratch", "burr"}
    assert split.notes[-2:] == (
        "2 good and 2 defect images (1 burr, 1 dent) were added to what trains",
        "1 added defect images without a mask are set aside, outline them to train: /feedback/added4.png",
    )
    assert Split.from_json(split.to_json()) == split


def test_a_copy_of_an_added_image_gives_up_its_role():
    tested, trained, held = (
        next(e.path for e in make_split(PRODUCT, True, SplitSettings(seen=0), 0, ROOT).entries if e.role == role)
        for role in ("test", "train", "calibration")
    )
    names = [Path(path).stem for path in (tested, trained, held)]
    joined = added(*(("good" if name.startswith(("good", "tested")) else "dent", name) for name in names))
    split = make_split(PRODUCT + joined, True, SplitSettings(seen=0), 0, ROOT)
    assert [roles(split)[path] for path in (tested, trained, held)] == ["excluded"] * 3
    assert split.notes[-1] == (
        "3 images are exact copies of added ones and gave up their roles (1 calibration, 1 test, 1 train)"
    )


def test_who_corrects_is_believed_even_without_a_mask():
    """A good training image that is found to be defective does not go on training as a good one."""
    split = make_split(PRODUCT + added(("dent", "good7", False)), True, SplitSettings(seen=0), 0, ROOT)
    assert roles(split)["good7.png"] == "excluded"
    assert roles(split)["/feedback/added0.png"] == "excluded"


def test_with_seen_of_none_the_draw_does_not_count_added_defects():
    joined = added(*(("dent", f"new{i}") for i in range(30)))
    split = make_split(PRODUCT + joined, True, SplitSettings(), 0, ROOT)
    drawn = [entry for entry in split.entries[: len(PRODUCT)] if entry.role == "seen"]
    assert len(drawn) == 6
    assert len(split.indices("seen")) == 36


def test_contradictions_among_added_images_are_an_error():
    joined = added(("good", "same"), ("dent", "same"))
    with pytest.raises(SplitError, match=r"good in /feedback/added0.png and dent in .*added1.png; remove the wrong"):
        make_split(PRODUCT + joined, True, SplitSettings(), 0, ROOT)


def test_of_copies_the_outlined_one_trains():
    joined = added(("dent", "same", False), ("dent", "same", True), ("good", "a"), ("good", "a"))
    split = make_split(PRODUCT + joined, True, SplitSettings(), 0, ROOT)
    assert [entry.role for entry in split.entries[-4:]] == ["excluded", "seen", "train", "excluded"]
    assert split.notes[-1] == "2 exact copies among the added images are left out"


def test_added_images_are_known_and_refused_as_trained():
    joined = added(("good",), ("dent",), ("dent", None, False))
    split = make_split(PRODUCT + joined, True, SplitSettings(), 0, ROOT)
    for one in joined[:2]:
        renamed = replace(one, sample=replace(one.sample, path=Path("elsewhere/new.png")))
        with pytest.raises(SplitError, match="trained the model: elsewhere.new.png"):
            refuse_trained(split, [renamed])
    refuse_trained(split, joined[2:])
    assert [Uses.of(split).role(one) for one in joined] == ["train", "seen", None]


# Folders


def feedback(folder: Path, draw: Draw) -> Path:
    """As the station exports it."""
    draw(folder / "good" / "alarm-1.jpg")
    draw(folder / "bad" / "burr" / "miss-1.jpg")
    draw(folder / "masks" / "burr" / "miss-1.png", defect=True)
    draw(folder / "bad" / "dent" / "bare-1.bmp")
    (folder / "feedback.csv").write_text("id,time,name,label,kind,score,verdict,model\n")
    return folder


def test_a_station_export_joins_a_product_on_disk(mvtec: Path, tmp_path: Path, draw: Draw):
    folder = feedback(tmp_path / "feedback", draw)
    own = recognise(mvtec)
    dataset = with_added(own, [folder])
    assert dataset.samples[: len(own.samples)] == own.samples
    assert [(s.path.name, s.kind, s.part, s.mask is not None) for s in dataset.samples[len(own.samples) :]] == [
        ("miss-1.jpg", "burr", ADDED, True),
        ("bare-1.bmp", "dent", ADDED, False),
        ("alarm-1.jpg", "good", ADDED, False),
    ]
    assert dataset.kinds == ("burr", "dent", "scratch")
    store = ImageStore.build(dataset.samples, (16, 16), False, 16)
    split = make_split(store.records, dataset.has_test, SplitSettings(seen=2), 0, dataset.root)
    new = split.entries[len(own.samples) :]
    assert [entry.role for entry in new] == ["seen", "excluded", "train"]
    assert all(Path(entry.path).is_file() for entry in new)


@pytest.mark.parametrize("part", ["good", "bad"])
def test_one_sort_of_corrections_alone_is_enough(mvtec: Path, tmp_path: Path, draw: Draw, part: str):
    draw(tmp_path / "feedback" / part / "1.png")
    samples = with_added(recognise(mvtec), [tmp_path / "feedback"]).samples
    assert sum(sample.part == ADDED for sample in samples) == 1


def test_all_of_a_folder_with_a_test_part_joins(mvtec: Path, tmp_path: Path, draw: Draw):
    draw(tmp_path / "plain" / "good" / "1.png")
    samples = with_added(recognise(tmp_path / "plain"), [mvtec]).samples
    assert {sample.part for sample in samples[1:]} == {ADDED}
    assert len(samples) == 1 + 23


def test_folders_that_cannot_be_added(mvtec: Path, tmp_path: Path, draw: Draw):
    own = recognise(mvtec)
    folder = feedback(tmp_path / "feedback", draw)
    (tmp_path / "empty" / "good").mkdir(parents=True)
    for folders, message in (
        ([mvtec], "is read already"),
        ([folder, folder.parent / "." / "feedback"], "is read already; name each folder .* once"),
        ([tmp_path / "nowhere"], "no such folder"),
        ([tmp_path / "empty"], "no images to add; put some into"),
    ):
        with pytest.raises(DataError, match=message):
            with_added(own, folders)
    draw(folder / "masks" / "burr" / "lost.png", defect=True)
    with pytest.raises(DataError, match="a mask without its image"):
        with_added(own, [folder])
