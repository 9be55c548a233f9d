"""Only the masks of the seen defects are wrong: who trains and who is tested stays as it was."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from wrong_masks import CHANGES, SHARE, boxes, copy_with_masks, dilated, shifted

from protores.presets import load
from protores.product import Product, open_product
from protores.progress import Progress
from protores.settings import Settings

SIZE = (64, 64)


def settings(root: Path, seen: int | str) -> Settings:
    return load("standard", {"data.root": root, "data.size": SIZE, "split.seen": seen, "seed": 1})


@pytest.fixture
def changed(tiny_product, tmp_path):
    """changed(name): the toy product with such masks on 5 seen defects, opened as training opens it."""

    def make(name: str) -> Product:
        copy_with_masks(settings(tiny_product, 5), name, tmp_path / name)
        return open_product(settings(tmp_path / name, "all"), False, Progress())[0]

    return make


def contents(product: Product, role: str) -> set[str]:
    return {entry.pixels for entry in product.split.entries if entry.role == role}


def masks(product: Product, role: str) -> dict[str, np.ndarray]:
    return {product.split.entries[i].pixels: product.store.masks[i] for i in product.split.indices(role)}


@pytest.mark.parametrize("name", CHANGES)
def test_the_same_images_train_and_are_tested_with_their_own_masks(changed, tiny_product, name):
    original, _ = open_product(settings(tiny_product, 5), False, Progress())
    copy = changed(name)
    for role in ("train", "calibration", "test"):
        assert contents(copy, role) == contents(original, role)
    tested, before = masks(copy, "test"), masks(original, "test")
    assert all(np.array_equal(mask, before[pixels]) for pixels, mask in tested.items())
    used = contents(copy, "train") | contents(copy, "seen") | contents(copy, "calibration")
    assert used.isdisjoint(contents(copy, "test"))
    seen, exact = masks(copy, "seen"), masks(original, "seen")
    assert len(exact) == 5
    if name == "half_missing":
        assert len(seen) == 3
        assert seen.keys() < exact.keys()
    else:
        assert seen.keys() == exact.keys()
    same = [np.array_equal(mask, exact[pixels]) for pixels, mask in seen.items()]
    assert all(same) if name in ("exact", "half_missing") else not all(same)


def test_what_is_cut_off_leaves_no_folder(tiny_product, tmp_path, monkeypatch):
    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setitem(CHANGES, "boxes", die)
    with pytest.raises(KeyboardInterrupt):
        copy_with_masks(settings(tiny_product, 5), "boxes", tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


def test_masks_by_hand():
    mask = np.zeros((100, 200), np.uint8)
    cv2.line(mask, (20, 20), (40, 60), 1)
    mask[80:82, 150:160] = 1
    reach = round(SHARE * 200)
    rng = np.random.default_rng(0)

    box = boxes(mask, rng)
    assert box[20:61, 20:41].all()
    assert box.sum() == 41 * 21 + 20

    wide = dilated(mask, rng)
    distance = cv2.distanceTransform(1 - mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    assert (distance[wide == 1] <= reach + 0.5).all()
    assert wide[distance <= reach - 1].all()

    moved = shifted(mask, rng)
    assert moved.sum() == mask.sum()
    rows, columns = (np.subtract(np.argwhere(moved).mean(0), np.argwhere(mask).mean(0)))
    assert np.hypot(rows, columns) == pytest.approx(reach, abs=0.75)


@pytest.mark.parametrize("seed", range(8))
def test_a_spot_in_a_corner_is_not_shifted_out_of_the_image(seed):
    mask = np.zeros((100, 100), np.uint8)
    mask[0, 0] = 1
    moved = shifted(mask, np.random.default_rng(seed))
    assert moved.sum() == 1
    assert moved[0, 0] == 0
