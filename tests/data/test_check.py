import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from protores.data.check import inspect
from protores.data.findings import RULES, SHOWN, Count, Problem
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
    assert [(p.paths[0].name, p.message.split(":")[0]) for p in found] == [
        (
            "001_mask.png",
            f"this mask is 32 x 12 pixels but its image {mvtec / 'test/dent/001.png'} is 32 x 24",
        ),
        ("003.png", "cut off"),
        ("002_mask.png", "a mask without its image"),
    ]
    assert all(problem.cure for problem in found)
    assert [problem.rule for problem in found] == ["mask-size", "truncated", "mask-orphan"]


@pytest.mark.parametrize("name", ["ignore", "roi"])
def test_an_unreadable_mask_of_what_counts_is_an_error(mvtec: Path, name: str):
    found = problems(mvtec, "error", DataSettings(**{name: mvtec / "none.png"}))
    assert len(found) == 1
    assert "check the path" in found[0].cure


def test_sizes_depths_and_colours_that_differ(tmp_path: Path):
    rng = np.random.default_rng(0)
    for i in range(20):
        write(tmp_path / f"good/{i:02}.png", rng.integers(0, 256, (20, 30), dtype=np.uint8))
    assert [p.message for p in problems(tmp_path, "warning")] == []
    assert [p.rule for p in problems(tmp_path, "note")] == ["no-defects"]
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
    assert [p.message for p in problems(mvtec, "note")] == ["only 3 good images to test on"]


def test_what_is_no_data_set_raises(tmp_path: Path):
    with pytest.raises(DataError, match="there are no images"):
        inspect(tmp_path, DataSettings())


def test_every_problem_is_under_a_rule_of_the_docs():
    text = (Path(__file__).parents[2] / "docs" / "check.md").read_text()
    for name, rule in RULES.items():
        assert f"| `{name}` | {rule.severity} |" in text
    assert text.count("\n| `") == len(RULES)


def test_json_has_all_and_text_the_first_few(mvtec: Path, draw: Draw):
    for i in range(SHOWN + 3):
        draw(mvtec / "train/good" / f"{i}.png").write_bytes(b"")
    found = inspect(mvtec, DataSettings())
    content = json.loads(json.dumps(found.to_json()))
    assert set(content) == {
        "version", "root", "layout", "has_test", "counts", "sizes", "bits", "channels", "bit_depth", "notes",
        "problems",
    }  # fmt: skip
    assert content["version"] == 1
    assert content["problems"][0] == {
        "rule": "empty-file",
        "severity": "error",
        "paths": ["train/good/0.png"],
        "message": "the file is empty",
        "cure": RULES["empty-file"].cure,
    }
    assert sum(p["rule"] == "empty-file" for p in content["problems"]) == SHOWN + 3
    lines = list(found.problem_lines())
    assert sum("the file is empty" in line for line in lines) == SHOWN
    assert any("3 more of the same (empty-file); `protores check --json` has all" in line for line in lines)


def test_errors_are_refused_in_one_line_with_their_number(mvtec: Path, draw: Draw):
    inspect(mvtec, DataSettings()).refuse_errors()
    for i in range(3):
        draw(mvtec / "train/good" / f"{i}.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"0.png: the file is empty \(and 2 more errors, which .*\); copy it again"):
        inspect(mvtec, DataSettings()).refuse_errors()


def test_the_worst_comes_first(mvtec: Path, draw: Draw):
    draw(mvtec / "train/good/x.png").write_bytes(b"")
    severities = [problem.severity for problem in inspect(mvtec, DataSettings()).problems]
    assert severities == sorted(severities, key=["error", "warning", "note"].index)
    assert set(severities) == {"error", "warning", "note"}
