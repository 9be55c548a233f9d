"""Speed and exactness of the metrics on one core, interleaved with scikit-learn.

    PYTHONPATH=src OMP_NUM_THREADS=1 python benchmarks/metrics.py

Drawn maps: 150 images, 40 of them good, five kinds of defects, about 2 % defect pixels, logits that overlap.
"exact" is pixel AUROC, AP, PRO and best F1 with image AUROC, AP; "evaluate" all of that for the whole, for
seen and unseen kinds and for each of the five; "streamed" the figures of "exact" by bins; "scikit-learn"
is pixel AUROC and AP only. Medians of the rounds, in wall seconds and in seconds of one core, which
neighbours on a shared machine disturb less.
"""

import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
from common import write
from sklearn.metrics import average_precision_score, roc_auc_score

from protores.metrics.evaluation import evaluate
from protores.metrics.pixels import PixelCurves, PixelFigures
from protores.metrics.ranking import rank

SEED = 0
IMAGES = 150
ROUNDS = {256: 5, 512: 1}


def draw(size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Maps, masks and kinds: blurred noise with brighter, blurred ellipses where the defects are."""
    maps, masks, kinds = [], [], []
    for index in range(IMAGES):
        mask = np.zeros((size, size), np.uint8)
        good = index % 15 < 4
        for _ in range(0 if good else rng.integers(1, 5)):
            centre = [int(c) for c in rng.integers(0, size, 2)]
            axes = int(rng.integers(2, size // 7)), int(rng.integers(2, size // 10))
            cv2.ellipse(mask, centre, axes, float(rng.integers(180)), 0, 360, 1, -1)
        noise = cv2.GaussianBlur(rng.normal(size=(size, size)).astype(np.float32), (0, 0), size / 64)
        glow = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), size / 100)
        logits = noise * size / 8 - 8 + glow * rng.normal(9, 4)
        maps.append(1 / (1 + np.exp(-logits)))
        masks.append(mask)
        kinds.append("good" if good else "abcde"[index % 5])
    return np.stack(maps).astype(np.float32), np.stack(masks), kinds


def pixels(maps: np.ndarray, masks: np.ndarray, **options: int) -> PixelFigures:
    curves = PixelCurves(**options)
    curves.update(maps, masks)
    return curves.compute()


def areas(figures: PixelFigures) -> list[float]:
    return [area for area in (figures.auroc, figures.ap, figures.pro) if area is not None]


def measure(size: int) -> dict[str, object]:
    maps, masks, kinds = draw(size, np.random.default_rng(SEED))
    scores = np.sort(maps.reshape(IMAGES, -1), axis=1)[:, -100:].mean(axis=1)
    labels = [kind != "good" for kind in kinds]

    def exact() -> PixelFigures:
        images = rank(scores, labels)
        images.auroc(), images.average_precision()
        return pixels(maps, masks)

    def scikit_learn() -> tuple[float, float]:
        labels, values = masks.ravel(), maps.ravel()
        return roc_auc_score(labels, values), average_precision_score(labels, values)

    calls: dict[str, Callable[[], object]] = {
        "exact": exact,
        "evaluate": lambda: evaluate(scores, maps, masks, kinds, {"a", "b"}),
        "streamed": lambda: pixels(maps, masks, exact_pixels=0),
        "scikit-learn": scikit_learn,
    }
    wall: dict[str, list[float]] = {name: [] for name in calls}
    core: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS[size]):
        for name, call in calls.items():
            start, core_start = time.perf_counter(), time.process_time()
            call()
            wall[name].append(time.perf_counter() - start)
            core[name].append(time.process_time() - core_start)
    ours, streamed = areas(exact()), areas(pixels(maps, masks, exact_pixels=0))
    theirs = scikit_learn()
    return {
        "defect_pixels": round(float(masks.mean()), 4),
        "wall_seconds": {name: round(statistics.median(times), 3) for name, times in wall.items()},
        "core_seconds": {name: round(statistics.median(times), 3) for name, times in core.items()},
        "pixel_auroc, ap, pro": ours,
        "exact_minus_scikit_learn": [a - b for a, b in zip(ours, theirs, strict=False)],
        "streamed_minus_exact": [a - b for a, b in zip(streamed, ours, strict=True)],
    }


def main() -> None:
    cv2.setNumThreads(1)
    figures = {f"{IMAGES}x{size}x{size}": measure(size) for size in ROUNDS}
    for shape, result in figures.items():
        print(shape)
        for key, values in result.items():
            print(f"  {key:26s} {values}")
    print(write("metrics", figures, seed=SEED, rounds={str(size): rounds for size, rounds in ROUNDS.items()}))


if __name__ == "__main__":
    main()
