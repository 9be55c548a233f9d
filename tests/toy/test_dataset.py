"""What the demo trains on: layout, masks that are exact, honest variation, the same again by seed."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from protores.errors import DataError, SettingsError
from protores.toy import KINDS, draw, draw_defect, draw_good


def rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def files(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*.png")}


def read(path: Path) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)


def test_layout_is_mvtec_ads(tmp_path: Path) -> None:
    root = draw(tmp_path / "board", good=4, test_good=3, defects_per_kind=2, size=64)
    folders = [p for p in root.rglob("*") if p.is_dir()]
    counts = {p.relative_to(root).as_posix(): len(list(p.glob("*.png"))) for p in folders}
    expected = {"train/good": 4, "test/good": 3} | {f"test/{k}": 2 for k in KINDS}
    assert {k: v for k, v in counts.items() if v} == expected | {f"ground_truth/{k}": 2 for k in KINDS}
    for kind in KINDS:
        for image in (root / "test" / kind).glob("*.png"):
            mask = read(root / "ground_truth" / kind / f"{image.stem}_mask.png")
            assert read(image).shape == (64, 64, 3)
            assert mask.shape == (64, 64)
            assert set(np.unique(mask)) == {0, 255}


def test_same_seed_same_files_and_more_images_change_none(tmp_path: Path) -> None:
    few = files(draw(tmp_path / "few", 3, 2, 1, 64, seed=5))
    many = files(draw(tmp_path / "many", 5, 3, 2, 64, seed=5))
    other = files(draw(tmp_path / "other", 3, 2, 1, 64, seed=6))
    assert few.items() <= many.items()
    assert few.keys() == other.keys()
    assert not set(few.values()) & set(other.values())
    assert len(set(many.values())) == len(many)


@pytest.mark.parametrize("kind", KINDS)
def test_mask_is_where_the_same_board_without_the_defect_differs(kind: str) -> None:
    for seed in range(8):
        image, mask = draw_defect(rng(seed), kind, 256)
        far = np.abs(image.astype(int) - draw_good(rng(seed), 256)).max(axis=2)
        assert mask.dtype == np.uint8
        assert set(np.unique(mask)) == {0, 1}
        assert far[mask == 0].max() <= 40  # what is left out is a pixel or three, or cannot be seen
        assert np.count_nonzero(far[mask == 0] > 10) <= 8
        assert np.median(far[mask == 1]) > 9
        assert far[mask == 1].max() >= 19
        assert 8 <= mask.sum() <= 0.06 * mask.size


def test_defects_are_tiny_and_big() -> None:
    areas = [draw_defect(rng(s), kind, 256)[1].sum() for kind in KINDS for s in range(12)]
    assert min(areas) < 40
    assert max(areas) > 800


def test_good_parts_vary_in_pose_and_light() -> None:
    images = [draw_good(rng(seed), 256) for seed in range(16)]
    boards = [(i[..., 1].astype(int) - i[..., 0] > 12).astype(np.uint8) for i in images]
    rectangles = [cv2.minAreaRect(cv2.findNonZero(b)) for b in boards]
    turns = [(r[2] + 45) % 90 - 45 for r in rectangles]
    assert max(turns) - min(turns) > 5
    assert np.ptp([r[0] for r in rectangles], axis=0).min() > 5
    levels = [float(i.mean()) for i in images]
    assert max(levels) / min(levels) > 1.12
    warmth = [i[..., 0].mean() / i[..., 2].mean() for i in images]
    assert max(warmth) / min(warmth) > 1.04
    # Light falls from other sides: the belt's left and right edges change places in brightness.
    tilt = [float(i[:, :20].mean() - i[:, -20:].mean()) for i in images]
    assert min(tilt) < -5
    assert max(tilt) > 5


@pytest.mark.parametrize("size", [32, 64, 100, 257])
def test_other_sizes_show_the_same_product(size: int) -> None:
    image = draw_good(rng(3), size)
    assert image.shape == (size, size, 3)
    assert image.dtype == np.uint8
    reference = cv2.resize(draw_good(rng(3), 256), (32, 32), interpolation=cv2.INTER_AREA)
    small = cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA)
    assert np.corrcoef(small.ravel(), reference.ravel())[0, 1] > 0.9
    for kind in KINDS:
        assert draw_defect(rng(3), kind, size)[1].any()


def test_bad_input_is_told_with_its_cure(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="use one of broken_trace, "):
        draw_defect(rng(0), "rust")
    with pytest.raises(SettingsError, match="use size=32 or more"):
        draw_good(rng(0), 8)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="choose another folder"):
        draw(tmp_path / "file", 1, 1, 1, 32)
