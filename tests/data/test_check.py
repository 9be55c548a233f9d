from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from protores.data.check import Count, Problem, inspect
from protores.errors import DataError
from protores.settings import DataSettings

Draw = Callable[..., Path]


def problems(root: Path, severity: str, settings: DataSettings | None = None) -> list[Problem]:
    found = inspect(root, settings or DataSettings())
    assert found.has_errors == any(problem.severity == "error" for problem in found.problems)
    return [problem for problem in found.problems if problem.severity == severity]


def write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())


def test_real_products_have_nothing_wrong(shared: Path):
    found = inspect(shared / "dagm" / "Class1", DataSettings())
    assert found.problems == ()
    assert found.dataset.layout == "DAGM 2007"
    assert found.counts == (Count("test", "good", 70, 0), Count("test", "defect", 71, 71))
    assert (found.sizes, found.bits, found.channels) == ((((512, 512), 141),), ((8, 141),), ((1, 141),))
    assert found.bit_depth is None
    assert found.lines()[0].endswith("Class1: DAGM 2007 layout, the test part is drawn")


def test_every_error_is_listed_with_file_and_cure(mvtec: Path, draw: Draw):
    broken = mvtec / "train/good/003.png"
    broken.write_bytes(broken.read_bytes()[:200])
    write(mvtec / "ground_truth/dent/001_mask.png", np.zeros((12, 32), np.uint8))
    (mvtec / "test/scratch/002.png").unlink()
    found = problems(mvtec, "error")
    assert [(p.path.name, p.message.split(":")[0]) for p in found if p.path] == [
        (
            "001_mask.png",
            f"this mask is 32 x 12 pixels but its image {mvtec / 'test/dent/001.png'} is 32 x 24",
        ),
        ("003.png", "cut off"),
        ("002_mask.png", "a mask without its image"),
    ]
    assert all(problem.cure for problem in found)


@pytest.mark.parametrize("name", ["ignore", "roi"])
def test_an_unreadable_mask_of_what_counts_is_an_error(mvtec: Path, name: str):
    found = problems(mvtec, "error", DataSettings(**{name: mvtec / "none.png"}))
    assert len(found) == 1
    assert "check the path" in found[0].cure


def test_doubtful_masks_are_warnings(mvtec: Path):
    (mvtec / "ground_truth/dent/000_mask.png").unlink()
    write(mvtec / "ground_truth/dent/001_mask.png", np.zeros((24, 32), np.uint8))
    write(mvtec / "ground_truth/scratch/002_mask.png", np.full((24, 32), 255, np.uint8))
    found = {p.message: p.path for p in problems(mvtec, "warning") if p.path}
    assert found == {
        "no mask for 1 images (000.png)": mvtec / "test/dent/000.png",
        "nothing is outlined in 1 images (001.png)": mvtec / "ground_truth/dent/001_mask.png",
        "more than half is defect in 1 images (002.png)": mvtec / "ground_truth/scratch/002_mask.png",
    }


def test_copies_across_parts_and_kinds(mvtec: Path):
    image = (mvtec / "train/good/005.png").read_bytes()
    (mvtec / "test/good/001.png").write_bytes(image)
    (mvtec / "test/dent/001.png").write_bytes(image)
    messages = [str(problem) for problem in inspect(mvtec, DataSettings()).problems]
    assert any("the same pixels are dent here and good in" in message for message in messages)
    assert any("are in train and in test with the same pixels" in message for message in messages)
    assert any("2 images are exact copies of others" in message for message in messages)


def test_sizes_depths_and_colours_that_differ(tmp_path: Path):
    rng = np.random.default_rng(0)
    for i in range(20):
        write(tmp_path / f"good/{i:02}.png", rng.integers(0, 256, (20, 30), dtype=np.uint8))
    assert [p.message for p in problems(tmp_path, "warning")] == []
    assert [p.message for p in problems(tmp_path, "note")] == ["no defect images"]
    write(tmp_path / "good/20.png", rng.integers(0, 256, (40, 30, 3), dtype=np.uint8))
    write(tmp_path / "good/21.png", rng.integers(0, 4096, (20, 30), dtype=np.uint16))
    found = inspect(tmp_path, DataSettings())
    assert (found.bit_depth, found.bits, found.channels) == (12, ((8, 21), (16, 1)), ((1, 21), (3, 1)))
    assert "16-bit files are read as 12 bits deep" in found.lines()
    assert [p.message for p in found.problems if p.severity == "warning"] == [
        "images have 2 different sizes and shapes",
        "some images have 8 bits and some 16",
        "some images are gray and some have colour",
    ]
    assert inspect(tmp_path, DataSettings(bit_depth=16)).bit_depth == 16
    kept = problems(tmp_path, "note", DataSettings(keep_aspect=True))
    assert "images have 2 different sizes" in [p.message for p in kept]


def test_few_good_images(mvtec: Path):
    assert [p.message for p in problems(mvtec, "warning")] == ["only 12 good images to train from"]


def test_what_is_no_data_set_raises(tmp_path: Path):
    with pytest.raises(DataError, match="there are no images"):
        inspect(tmp_path, DataSettings())
