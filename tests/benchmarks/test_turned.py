"""A product in any pose, made of one that lies the same way."""

import cv2
import numpy as np
from turned import turned


def spot(side: int, x: int, y: int) -> np.ndarray:
    image = np.full((side, side), 90, np.uint8)
    cv2.circle(image, (x, y), side // 16, 200, -1)
    return image


def test_image_and_mask_turn_alike_and_defects_out_of_sight_are_left_out(tmp_path):
    source = tmp_path / "source"
    for kind, at in (("near", (150, 128)), ("corner", (8, 8))):
        for folder, name in ((f"test/{kind}", "000.png"), (f"ground_truth/{kind}", "000_mask.png")):
            (source / folder).mkdir(parents=True)
            picture = spot(256, *at)
            cv2.imwrite(str(source / folder / name), (picture > 100) * np.uint8(255) if "mask" in name else picture)
    (source / "train/good").mkdir(parents=True)
    cv2.imwrite(str(source / "train/good/000.png"), spot(256, 200, 128))
    out = turned(source, tmp_path / "out", size=128)
    image, mask = (cv2.imread(str(out / name), 0) for name in ("test/near/000.png", "ground_truth/near/000_mask.png"))
    assert image.shape == mask.shape == (128, 128)
    assert ((image > 145) == (mask > 0)).mean() > 0.99
    assert 0 < (mask > 0).mean() < 0.1
    assert not (out / "test/corner/000.png").exists()
    assert (out / "train/good/000.png").exists()
