"""Anomalies per second on one core, at 256 x 256, on MVTec AD grid with DTD textures and 10 seen defects.

Run from the repository root: PYTHONPATH=src python benchmarks/synthesis.py
The foreground of a good image is found once, when the synthesizer is built; what it costs on an object (a
drawn disc) is measured apart, and `with_foreground` is the rate if each anomaly had to pay it anew.
"""

import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
from common import SHARED, write

from protores.data.image import read_image, read_mask
from protores.settings import SynthesisSettings
from protores.synthesis.foreground import Foreground
from protores.synthesis.perlin import perlin
from protores.synthesis.synthesizer import Synthesizer

SIZE = (256, 256)
SEED = 0
SEEN = 10
ROUNDS = 9
PER_ROUND = 200


def resized(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image, SIZE, interpolation=cv2.INTER_AREA)


def grid() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All good training images, and two defects with masks of each kind."""
    root = SHARED / "data" / "mvtec_ad" / "grid"
    good = np.stack([resized(read_image(path)) for path in sorted((root / "train" / "good").glob("*.png"))])
    images, masks = [], []
    for kind in sorted((root / "ground_truth").iterdir()):
        for path in sorted(kind.glob("*.png"))[: SEEN // 5]:
            images.append(resized(read_image(root / "test" / kind.name / path.name.replace("_mask", ""))))
            masks.append((cv2.resize(read_mask(path) * 255, SIZE, interpolation=cv2.INTER_AREA) > 64) * 1)
    return good, np.stack(images), np.stack(masks).astype(np.uint8)


def discs(count: int) -> np.ndarray:
    """Bright noisy discs on a dark ground, for the cost of finding an object."""
    rng = np.random.default_rng(SEED)
    images = rng.normal(40, 4, (count, *SIZE, 1)).repeat(3, 3)
    for image in images:
        centre = (int(rng.integers(110, 146)), int(rng.integers(110, 146)))
        cv2.circle(image, centre, 80, (160.0, 150.0, 130.0), cv2.FILLED)
    return np.clip(images, 0, 255).astype(np.uint8)


def milliseconds(call: Callable[[int], object]) -> float:
    """Median over rounds of one call's mean CPU time, which a busy neighbour moves less than wall time."""
    rounds = []
    for round_index in range(ROUNDS + 1):
        start = time.process_time()
        for index in range(PER_ROUND):
            call(round_index * PER_ROUND + index)
        rounds.append((time.process_time() - start) / PER_ROUND * 1e3)
    return statistics.median(rounds[1:])


def main() -> None:
    cv2.setNumThreads(1)
    good, images, masks = grid()
    start = time.perf_counter()
    synthesizer = Synthesizer(
        good, images, masks, SHARED / "data" / "dtd" / "images", SynthesisSettings(), SEED
    )
    build = time.perf_counter() - start

    objects = discs(16)
    foreground = Foreground.fit(objects)
    assert foreground.is_object
    rng = np.random.default_rng(SEED)
    simulated = milliseconds(lambda i: synthesizer.simulated(good[i % len(good)], i % len(good), rng))
    extended = milliseconds(lambda i: synthesizer.extended(good[i % len(good)], i % len(good), rng))
    found = milliseconds(lambda i: foreground(objects[i % len(objects)]))
    noise = milliseconds(lambda i: perlin(SIZE, (2 ** (i % 6), 8), rng))
    figures = {
        "simulated_per_second": round(1e3 / simulated),
        "extended_per_second": round(1e3 / extended),
        "simulated_with_foreground_per_second": round(1e3 / (simulated + found)),
        "extended_with_foreground_per_second": round(1e3 / (extended + found)),
        "foreground_of_an_object_ms": round(found, 3),
        "perlin_ms": round(noise, 3),
        "build_seconds": round(build, 2),
    }
    for name, value in figures.items():
        print(f"{name:40} {value:>10}")
    write(
        "synthesis",
        figures,
        seed=SEED,
        size=SIZE,
        good=len(good),
        seen=len(images),
        clock="CPU time, one thread",
    )


if __name__ == "__main__":
    main()
