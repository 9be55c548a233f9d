from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protores.data.layouts import recognise
from protores.data.record import Record
from protores.data.sample import Sample
from protores.data.splits import ROLES, Split, make_split, refuse_trained
from protores.data.store import ImageStore
from protores.errors import SplitError
from protores.settings import SplitSettings

ROOT = Path("root")
KINDS = ("dent", "scratch", "stain")
UNSEEN = SplitSettings(seen=0)


def record(name: str, kind: str, part: str, content: str | None = None, masked: bool = True) -> Record:
    bad = kind != "good"
    sample = Sample(ROOT / f"{name}.png", kind, part, ROOT / f"{name}_mask.png" if bad and masked else None)
    return Record(
        sample, f"file {name}", f"pixels {content or name}", 24, 32, 8, 1, 36 if bad and masked else 0
    )


def records(good: int, tested: int = 0, train: dict[str, int] | None = None, **defects: int) -> list[Record]:
    found = [record(f"good{i}", "good", "train") for i in range(good)]
    found += [record(f"tested{i}", "good", "test") for i in range(tested)]
    for part, numbers in (("train", train or {}), ("test", defects)):
        found += [record(f"{part} {kind}{i}", kind, part) for kind, n in numbers.items() for i in range(n)]
    return found


def count(split: Split) -> dict[str, int]:
    return {role: len(split.indices(role)) for role in ROLES}


@st.composite
def products(draw: st.DrawFn) -> list[Record]:
    """Records with copies within and across kinds and parts, in any order, some defects without masks."""
    found = [record("first", "good", "train", "0")]
    for i in range(draw(st.integers(0, 40))):
        kind = draw(st.sampled_from(("good", "good", *KINDS)))
        part = draw(st.sampled_from(("train", "test"))) if kind == "good" else "test"
        content = str(draw(st.integers(0, 80)))
        found.append(record(f"x{i}", kind, part, content, draw(st.sampled_from((True, True, True, False)))))
    return draw(st.permutations(found))


wishes = st.builds(
    SplitSettings,
    seen=st.integers(0, 30),
    seen_kinds=st.none(),
    calibration=st.sampled_from((0.0, 0.05, 0.1, 0.5)),
    test=st.sampled_from((0.1, 0.3, 0.9)),
)


@settings(max_examples=200, deadline=None)
@given(products(), st.booleans(), wishes, st.integers(0, 2**32))
def test_what_holds_for_every_split(found: list[Record], has_test: bool, wish: SplitSettings, seed: int):
    good = {one.pixels for one in found if one.sample.is_good}
    usable = {
        one.pixels: one.sample.kind
        for one in reversed(found)
        if not one.sample.is_good and one.defect_pixels and one.pixels not in good
    }
    if wish.seen > len(usable):
        with pytest.raises(SplitError, match=f"{wish.seen} seen .* but {len(usable)} can train"):
            make_split(found, has_test, wish, seed, ROOT)
        return
    split = make_split(found, has_test, wish, seed, ROOT)
    assert split == make_split(found, has_test, wish, seed, ROOT)
    roles = [entry.role for entry in split.entries]
    assert sorted(i for role in ROLES for i in split.indices(role)) == list(range(len(found)))

    contents: dict[str, set[str]] = {role: set() for role in ROLES}
    for one, role in zip(found, roles, strict=True):
        contents[role].add(one.pixels)
    kept = [role for role in ROLES if role != "excluded"]
    for role in kept:
        for other in kept:
            assert role == other or not contents[role] & contents[other]

    for one, role in zip(found, roles, strict=True):
        is_good, tested = one.sample.is_good, has_test and one.sample.part == "test"
        assert role != "train" or (is_good and not tested)
        assert role != "seen" or (not is_good and one.defect_pixels > 0)
        assert role != "calibration" or not (is_good and tested)
        if role == "excluded":
            assert one.pixels in contents["train"] | contents["seen"] | contents["calibration"]
        if role == "test" and has_test:
            assert tested
    assert contents["train"]
    drawn = [
        i for i, one in enumerate(found) if not one.sample.is_good and roles[i] in ("seen", "calibration")
    ]
    assert len({found[i].pixels for i in drawn}) == len(drawn) == wish.seen
    assert any(roles[i] == "calibration" for i in drawn) == (wish.seen >= 20 and wish.calibration > 0)

    seen = Counter(found[i].sample.kind for i in drawn)
    left = set(usable) - {found[i].pixels for i in drawn}
    for kind in {usable[content] for content in left}:
        assert seen[kind] >= max(seen.values(), default=0) - 1


@given(st.integers(0, 100))
def test_seen_are_as_even_over_the_kinds_as_can_be(seed: int):
    found = records(20, 5, dent=2, scratch=30, stain=30)
    split = make_split(found, True, SplitSettings(seen=11), seed, ROOT)
    spread = Counter(split.entries[i].kind for i in split.indices("seen"))
    assert spread["dent"] == 2
    assert sorted(spread[kind] for kind in ("scratch", "stain")) == [4, 5]


def test_seeds_differ_and_the_good_do_not_depend_on_the_seen():
    found = records(100, 20, dent=30, scratch=30)
    splits = [make_split(found, True, SplitSettings(seen=n), seed, ROOT) for seed in (0, 1) for n in (10, 20)]
    assert len({split.hash for split in splits}) == 4
    assert list(splits[0].indices("train")) == list(splits[1].indices("train"))
    assert list(splits[0].indices("train")) != list(splits[2].indices("train"))
    taken = set(splits[1].indices("seen")) | set(splits[1].indices("calibration"))
    assert set(splits[0].indices("seen")) <= taken


def test_benchmark_layout_counts_and_notes():
    found = records(100, 20, dent=15, scratch=15)
    split = make_split(found, True, SplitSettings(seen=20), 0, ROOT)
    assert count(split) == {"train": 90, "seen": 18, "calibration": 12, "test": 30, "excluded": 0}
    assert split.notes == (
        "10 of 100 good images are kept out of training for calibration",
        "20 defect images are seen (10 dent, 10 scratch) and left the test set; "
        "2 of them are kept out of training for calibration",
    )
    kinds = Counter(split.entries[i].kind for i in split.indices("calibration"))
    assert kinds == {"good": 10, "dent": 1, "scratch": 1}


def test_good_images_alone():
    assert count(make_split(records(100, 20, dent=5), True, UNSEEN, 0, ROOT)) == {
        "train": 90, "seen": 0, "calibration": 10, "test": 25, "excluded": 0
    }  # fmt: skip
    assert count(make_split(records(100), False, UNSEEN, 0, ROOT))["seen"] == 0


@pytest.mark.parametrize(("good", "kept"), [(1, 0), (9, 0), (10, 1), (14, 1), (25, 2), (26, 3), (100, 10)])
def test_calibration_starts_at_ten_good_images(good: int, kept: int):
    assert count(make_split(records(good, 5), True, UNSEEN, 0, ROOT))["calibration"] == kept
    none = make_split(records(good, 5), True, SplitSettings(seen=0, calibration=0), 0, ROOT)
    assert count(none)["calibration"] == 0


def test_without_a_test_part_it_is_drawn():
    split = make_split(records(100, dent=12, scratch=8), False, SplitSettings(seen=10), 0, ROOT)
    assert count(split) == {"train": 63, "seen": 10, "calibration": 7, "test": 40, "excluded": 0}
    assert "30 of 100 good images were drawn for the test" in split.notes


def test_unseen_kinds_stay_in_the_test_set():
    found = records(30, 5, dent=10, scratch=10, stain=10)
    split = make_split(found, True, SplitSettings(seen=6, seen_kinds=("dent", "stain")), 0, ROOT)
    assert Counter(split.entries[i].kind for i in split.indices("seen")) == {"dent": 3, "stain": 3}
    assert Counter(split.entries[i].kind for i in split.indices("test"))["scratch"] == 10


def test_the_training_parts_own_defects_are_seen_and_the_test_part_stays_whole():
    found = records(30, 5, train={"defect": 12}, defect=9)
    split = make_split(found, True, SplitSettings(seen=10), 0, ROOT)
    assert count(split) == {"train": 27, "seen": 10, "calibration": 3, "test": 14, "excluded": 2}
    assert all(found[i].sample.part == "train" for i in split.indices("seen"))
    assert split.notes[1:] == (
        "10 defect images are seen (10 defect)",
        "2 defect images of the training part were not drawn and are excluded",
    )
    with pytest.raises(SplitError, match="12 can train"):
        make_split(found, True, SplitSettings(seen=13), 0, ROOT)


def test_copies_of_good_images_share_a_role_and_leave_the_test():
    found = [record(f"g{i}", "good", "train", f"c{i // 2}") for i in range(40)]
    found += [record(f"t{i}", "good", "test", f"c{i}") for i in range(30)]
    split = make_split(found, True, UNSEEN, 0, ROOT)
    assert count(split) == {"train": 36, "seen": 0, "calibration": 4, "test": 10, "excluded": 20}
    assert "20 exact copies of training or calibration images are excluded" in split.notes
    same = [record(f"g{i}", "good", "train", "c") for i in range(20)]
    assert count(make_split(same, True, UNSEEN, 0, ROOT))["train"] == 20


def test_errors_say_what_there_is():
    found = records(20, 5, dent=3, scratch=2) + [record("bare", "dent", "test", masked=False)]
    with pytest.raises(SplitError) as caught:
        make_split(found, True, SplitSettings(seen=6), 0, ROOT)
    assert str(caught.value) == (
        "6 seen defects were asked for but 5 can train (3 dent, 2 scratch; 1 more have no mask or an empty "
        "one); use --seen 5 or fewer"
    )
    with pytest.raises(SplitError, match="no such kind: dnet; there are dent, scratch"):
        make_split(found, True, SplitSettings(seen=1, seen_kinds=("dnet", "dent")), 0, ROOT)
    with pytest.raises(SplitError, match="no good images to train from; put"):
        make_split(records(0, 5, dent=3), True, UNSEEN, 0, ROOT)
    with pytest.raises(SplitError, match="10 seen .* 0 can train .*use --seen 0"):
        make_split(records(20), False, SplitSettings(seen=10), 0, ROOT)


def test_seen_by_default_are_ten_or_half_of_what_there_is():
    def seen(*args, **kinds):
        return len(make_split(records(*args, **kinds), True, SplitSettings(), 0, ROOT).indices("seen"))

    assert seen(30, 5, dent=20, scratch=15) == 10
    assert seen(30, 5, dent=4, scratch=3) == 3
    assert seen(30, 5) == 0


def test_all_that_a_training_part_has_can_be_seen():
    found = records(30, 5, {"dent": 24, "stain": 3}, dent=4)
    split = make_split(found, True, SplitSettings(seen="all", calibration=0.0), 0, ROOT)
    assert count(split) == {"train": 30, "seen": 27, "calibration": 0, "test": 9, "excluded": 0}


def test_json_round_trip_and_a_changed_file_is_refused():
    split = make_split(records(30, 5, dent=10), True, SplitSettings(seen=5), 0, ROOT)
    text = split.to_json()
    assert Split.from_json(text) == split
    assert '"path": "good0.png"' in text
    with pytest.raises(SplitError, match="changed after training"):
        Split.from_json(text.replace('"role": "seen"', '"role": "test"', 1))
    numbers = text.replace('"path": "good0.png"', '"path": 0', 1)
    unknown = text.replace('"role": "seen"', '"role": "boss"', 1)
    for broken in ("", "{}", "[1]", '{"images": [{"path": "a"}]}', "[" * 100_000, numbers, unknown):
        with pytest.raises(SplitError, match="not a split"):
            Split.from_json(broken)
    with pytest.raises(ValueError, match="no such role"):
        split.indices("trian")


def test_the_hash_is_of_contents_and_roles_whatever_the_paths():
    split = make_split(records(30, 5, dent=10), True, SplitSettings(seen=5), 0, ROOT)
    moved = Split(tuple(replace(entry, path="x/" + entry.path) for entry in split.entries[::-1]))
    assert moved.hash == split.hash
    other = Split((replace(split.entries[0], role="excluded"), *split.entries[1:]))
    assert other.hash != split.hash


def test_trained_images_are_refused_by_content():
    found = records(30, 5, dent=10)
    split = make_split(found, True, SplitSettings(seen=5), 0, ROOT)
    refuse_trained(split, [found[i] for role in ("test", "calibration") for i in split.indices(role)])
    for role in ("train", "seen"):
        one = found[split.indices(role)[0]]
        renamed = replace(one, sample=replace(one.sample, path=Path("elsewhere/new.png")))
        for copy in (replace(renamed, sha256="re-saved"), replace(renamed, pixels="another depth")):
            with pytest.raises(SplitError, match=r"trained the model: elsewhere.new.png; evaluate on"):
                refuse_trained(split, [copy])
    with pytest.raises(SplitError, match="and 24 more"):
        refuse_trained(split, [found[i] for i in split.indices("train")])


def test_a_real_product_on_disk_with_copies(mvtec: Path, draw: Callable[..., Path]):
    image = mvtec / "train/good/005.png"
    (mvtec / "test/good/copy.png").write_bytes(image.read_bytes())
    dataset = recognise(mvtec)
    store = ImageStore.build(dataset.samples, (16, 16), False, 16)
    split = make_split(store.records, dataset.has_test, SplitSettings(seen=4), 0, dataset.root)
    assert count(split) == {"train": 11, "seen": 4, "calibration": 1, "test": 7, "excluded": 1}
    assert [split.entries[i].path for i in split.indices("excluded")] == ["test/good/copy.png"]
    assert store.has_mask[split.indices("seen")].all()
