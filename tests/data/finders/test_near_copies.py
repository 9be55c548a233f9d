"""Near copies: the same photo changed in any usual way is found, and parts that merely look alike never are."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from protores.data.finders.near_copies import distinctive, similarity_bar
from protores.data.image import read_image

Parts = Callable[[int], Iterator[np.ndarray]]


def gamma(image: np.ndarray) -> np.ndarray:
    return (255 * (image / 255) ** 1.4).astype(np.uint8)


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "resized": lambda image: cv2.resize(image, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA),
    "brightened": lambda image: cv2.convertScaleAbs(image, alpha=1.15, beta=8),
    "gamma": gamma,
    "noisy": lambda image: cv2.add(image, np.random.default_rng(1).integers(0, 12, image.shape, dtype=np.uint8)),
    "blurred": lambda image: cv2.GaussianBlur(image, (0, 0), 1),
    "saved again": lambda image: image,
}


@pytest.fixture
def product(tmp_path: Path, parts: Parts, write) -> Path:
    """60 + 20 parts that look alike."""
    for i, part in enumerate(parts(80)):
        write(tmp_path / ("train/good" if i < 60 else "test/good") / f"{i:02}.png", part)
    return tmp_path


def test_parts_that_look_alike_are_no_copies(product: Path, found):
    assert "near-copy" not in found(product)
    plain = np.stack([read_image(path)[..., 0].ravel() for path in sorted(product.rglob("*.png"))]).astype(float)
    assert np.corrcoef(plain)[np.triu_indices(len(plain), 1)].mean() > 0.8


@pytest.mark.parametrize("change", CHANGES)
def test_the_same_photo_in_training_and_test_is_found(product: Path, found, write, change: str):
    for number in (3, 40):
        changed = CHANGES[change](read_image(product / f"train/good/{number:02}.png")[..., 0])
        write(product / f"test/good/again{number}.jpg", changed, cv2.IMWRITE_JPEG_QUALITY, 75)
    problems = found(product)["near-copy"]
    assert {tuple(path.stem for path in problem.paths) for problem in problems} == {("again3", "03"), ("again40", "40")}
    assert all(problem.severity == "warning" for problem in problems)


def test_where_the_test_part_is_drawn_each_pair_is_told_once(tmp_path: Path, parts: Parts, found, write):
    for i, part in enumerate(parts(40)):
        write(tmp_path / f"good/{i:02}.png", part)
    write(tmp_path / "good/again.jpg", read_image(tmp_path / "good/07.png")[..., 0], cv2.IMWRITE_JPEG_QUALITY, 75)
    (problem,) = found(tmp_path)["near-copy"]
    assert {path.stem for path in problem.paths} == {"07", "again"}


def test_where_every_part_was_photographed_twice_all_are_found(tmp_path: Path, parts: Parts, found, write):
    """Then the nearest neighbours are copies themselves and no measure of what is usual."""
    for i, part in enumerate(parts(150)):
        write(tmp_path / f"train/good/{i:02}.png", part)
        if i < 30:
            write(tmp_path / f"test/good/{i:02}.png", gamma(part))
    problems = found(tmp_path)["near-copy"]
    assert len(problems) == 30
    assert all(problem.paths[0].stem == problem.paths[1].stem for problem in problems)


def test_too_few_images_are_not_compared(tmp_path: Path, parts: Parts, found, write):
    for i, part in enumerate(parts(6)):
        write(tmp_path / f"good/{i}.png", part)
    write(tmp_path / "good/again.jpg", read_image(tmp_path / "good/3.png"))
    assert "near-copy" not in found(tmp_path)


def test_flat_images_are_no_copies(tmp_path: Path, draw, found):
    for i in range(30):
        draw(tmp_path / f"good/{i}.png", value=100 + i)
    assert "near-copy" not in found(tmp_path)


def test_light_alone_makes_no_difference(rng: np.random.Generator):
    thumbs = rng.uniform(50, 150, (20, 32, 32)).astype(np.float32)
    ramp = np.linspace(0, 60, 32, dtype=np.float32)
    own = distinctive(np.concatenate([thumbs, 0.8 * thumbs[:1] + ramp]))
    assert own[0] @ own[-1] > 0.98
    assert np.abs(own[0] @ own[1:-1].T).max() < 0.3


def test_the_bar_follows_the_product(rng: np.random.Generator):
    loose, tight = rng.uniform(0.1, 0.2, 50), rng.uniform(0.6, 0.75, 50)
    assert similarity_bar(loose, 0.1) == pytest.approx(0.6)
    assert 0.75 < similarity_bar(tight, 0.5) < 1
    twins = rng.uniform(0.3, 0.99, 50)
    assert similarity_bar(twins, 0.12) < similarity_bar(twins, 0.5) < 1


@pytest.mark.parametrize("folder", ["mvtec_ad/grid", "dagm/Class1"])
def test_real_products_without_copies(shared: Path, found, folder: str):
    assert "near-copy" not in found(shared / folder)


def test_tiles_that_were_photographed_for_training_and_for_the_test(shared: Path, found):
    """Magnetic tile holds several exposures of each tile. Its split is by tile, but for these, looked at one by one."""
    pairs = {
        ("exp4_num_116999", "exp5_num_117030"),
        ("exp3_num_10448", "exp6_num_9196"),
        ("exp1_num_346311", "exp4_num_346361"),
        ("exp1_num_331149", "exp4_num_331207"),
        ("exp5_num_5874", "exp2_num_13549"),
    }
    problems = found(shared / "magnetic_tile")["near-copy"]
    assert pairs <= {tuple(path.stem for path in problem.paths) for problem in problems}
    assert len(problems) < 20
