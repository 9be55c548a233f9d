"""Preview and results show what they say they show, on real images with real masks."""

from pathlib import Path

import cv2
import numpy as np

from protores.report.heatmap import FOUND, TRUTH, colour
from protores.report.sheet import GAP, MARGIN
from protores.report.sheets import Entry, preview_sheet, result_sheet

GRID = Path(__file__).parents[2].parent / "shared" / "data" / "mvtec_ad" / "grid"
HEADER = 58


def read(path: Path, flag: int = cv2.IMREAD_COLOR) -> np.ndarray:
    return np.ascontiguousarray(cv2.imdecode(np.fromfile(path, np.uint8), flag)[..., ::-1])


def grid(kind: str) -> tuple[np.ndarray, np.ndarray]:
    mask = cv2.imdecode(np.fromfile(GRID / "ground_truth" / kind / "000_mask.png", np.uint8), 0)
    return read(GRID / "test" / kind / "000.png"), (mask > 0).astype(np.uint8)


def count(page: np.ndarray, what: tuple[int, int, int]) -> int:
    return int((page == what).all(axis=2).sum())


def cell(page: np.ndarray, column: int, size: int) -> np.ndarray:
    left = MARGIN + column * (size + GAP)
    return page[HEADER : HEADER + size, left : left + size]


def test_results_show_image_map_and_overlay_on_one_scale() -> None:
    image, mask = grid("glue")
    good = Entry(image, None, np.full(mask.shape, 0.25, np.float32), 0.1, "good", "good")
    bad = Entry(image, mask, cv2.blur(mask.astype(np.float32), (5, 5)) * 0.75 + 0.25, 0.9, "bad", "glue")
    page = result_sheet([good, bad], threshold=0.6, low=0.25, cell=200)
    plain, bare_map, untouched, known, defect_map, found = (cell(page, k, 200) for k in range(6))
    assert count(plain, TRUTH) == count(untouched, FOUND) == 0
    assert (plain == untouched).all()  # a good part looks like itself
    assert (bare_map == colour(np.zeros((1, 1), np.float32))[0, 0]).all()
    assert count(known, TRUTH) > 50
    assert count(found, FOUND) > 50
    assert (defect_map == defect_map[0, 0]).all(axis=2).mean() > 0.9
    ys, xs = np.nonzero((defect_map != defect_map[0, 0]).any(axis=2))
    rows, columns = np.nonzero(mask)
    assert abs(ys.mean() / 200 - rows.mean() / mask.shape[0]) < 0.02
    assert abs(xs.mean() / 200 - columns.mean() / mask.shape[1]) < 0.02
    assert count(cell(result_sheet([bad], None, cell=200), 2, 200), FOUND) == 0


def test_results_stand_in_the_callers_order_whatever_their_sizes() -> None:
    shades = [np.full((h, w, 3), s, np.uint8) for h, w, s in ((20, 30, 60), (64, 64, 120), (90, 30, 180))]
    entries = [Entry(s, None, np.zeros(s.shape[:2], np.float32), 0, "Größe", "ok") for s in shades]
    page = result_sheet(entries, 0.5, cell=60, beside=3)
    assert [int(page[HEADER + 5, MARGIN + k * 3 * (60 + GAP) + 5, 0]) for k in range(3)] == [60, 120, 180]
    assert result_sheet([]).ndim == 3


def test_preview_darkens_outside_the_foreground_and_outlines_the_anomalies() -> None:
    image, mask = grid("thread")
    foreground = np.zeros(mask.shape, np.uint8)
    foreground[: mask.shape[0] // 2] = 1
    page = preview_sheet([image], [foreground], [], [], [], cell=256)
    top = page.shape[0] - 22 - 256 - (MARGIN - GAP) - GAP
    upper, lower = (
        page[top : top + 126, MARGIN : MARGIN + 256],
        page[top + 132 : top + 256, MARGIN : MARGIN + 256],
    )
    assert upper.mean() > 2 * lower.mean()
    assert abs(count(page, TRUTH) - 256) < 10
    whole = np.ones_like(foreground)
    only_good = preview_sheet([image], [whole], [], [], [], cell=256)
    assert count(only_good, TRUTH) == 0
    rows = [
        preview_sheet([image], [whole], *([(image, mask)] * k for k in n)) for n in ((1, 0, 0), (1, 1, 1))
    ]
    assert count(rows[0], TRUTH) * 3 == count(rows[1], TRUTH) > 0
    assert rows[1].shape[0] - rows[0].shape[0] == 2 * (rows[0].shape[0] - only_good.shape[0])


def test_preview_takes_images_of_mixed_sizes() -> None:
    images = [np.zeros((50, 80, 3), np.uint8), np.zeros((300, 200, 3), np.uint8)]
    masks = [np.ones(i.shape[:2], np.uint8) for i in images]
    pairs = list(zip(images, masks, strict=True))
    page = preview_sheet(images, masks, pairs, pairs, pairs[:1], "Größe", cell=100)
    assert page.shape[1] == 2 * MARGIN + 200 + GAP
