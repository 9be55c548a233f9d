"""Near copies in the real products, how many planted ones the check finds, and how long it takes for 5,000 images.

    python benchmarks/near_copies.py

Per product: the bar, the pairs above it, and for each way of changing a photo the share found of 40 training images
that were changed so and put into the test part, all 40 at once. Results: benchmarks/results/near_copies.json.
"""

import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from common import SHARED, median_seconds, write
from numpy.typing import NDArray

from protores.data.container import Header
from protores.data.finders.near_copies import near_copies
from protores.data.image import read_image
from protores.data.layouts import TEST, TRAIN, Survey, survey
from protores.data.look import Look, look_at
from protores.data.record import Record, Skipped, try_load
from protores.data.sample import Dataset, Sample
from protores.data.scan import Scan
from protores.data.store import in_parallel
from protores.settings import DataSettings

PRODUCTS = ("mvtec_ad/grid", "magnetic_tile", "dagm/Class1")
PLANTED, SEED, MANY = 40, 0, 5000
Image = NDArray[np.uint8]


def jpeg(image: Image, quality: int) -> Image:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


CHANGES: dict[str, Callable[[Image], Image]] = {
    "JPEG, quality 75": lambda image: jpeg(image, 75),
    "half as large, JPEG": lambda image: jpeg(cv2.resize(image, None, fx=0.5, fy=0.5), 85),
    "15 % brighter, JPEG": lambda image: jpeg(cv2.convertScaleAbs(image, alpha=1.15, beta=5), 85),
    "gamma 1.4, JPEG": lambda image: jpeg((255 * (image / 255) ** 1.4).astype(np.uint8), 85),
    "noise of 5 levels": lambda image: np.clip(
        image + np.random.default_rng(SEED).normal(0, 5, image.shape), 0, 255
    ).astype(np.uint8),
    "blur of 1.5 pixels": lambda image: cv2.GaussianBlur(image, (0, 0), 1.5),
}


def read(root: Path) -> tuple[Survey, list[Record], list[Look]]:
    found = survey(root)
    loaded = in_parallel(lambda sample: try_load(sample, 8), found.dataset.samples)
    usable = [one for one in loaded if not isinstance(one, Skipped)]
    return found, [one.record for one in usable], [one.look for one in usable]


def scan(found: Survey, records: list[Record], looks: list[Look]) -> Scan:
    return Scan(found, tuple(records), tuple(looks), (), DataSettings())


def planted(found: Survey, records: list[Record], looks: list[Look]) -> dict[str, float]:
    """The share that is found of changed training images, by the change."""
    trained = [r for r in records if r.sample.is_good and (r.sample.part == TRAIN or not found.dataset.has_test)]
    picked = [trained[i] for i in np.random.default_rng(SEED).choice(len(trained), PLANTED, replace=False)]
    shares = {}
    for name, change in CHANGES.items():
        again = [replace(r, sample=_again(r.sample), pixels=f"again {r.pixels}") for r in picked]
        seen = [look_at(change(read_image(r.sample.path)), Header(), None) for r in picked]
        pairs = {frozenset(p.paths) for p in near_copies(scan(found, records + again, looks + seen))}
        wanted = [frozenset((a.sample.path, b.sample.path)) for a, b in zip(again, picked, strict=True)]
        shares[name] = sum(pair in pairs for pair in wanted) / PLANTED
    return shares


def _again(sample: Sample) -> Sample:
    return replace(sample, path=sample.path.with_name(f"again {sample.path.name}"), part=TEST)


def many() -> dict[str, float]:
    """Seconds for MANY images, 4 of 5 of them to train."""
    rng = np.random.default_rng(SEED)
    samples = [Sample(Path(f"{i}.png"), "good", TEST if i % 5 == 0 else TRAIN) for i in range(MANY)]
    records = [Record(sample, "", str(i), 256, 256, 8, 1, 0) for i, sample in enumerate(samples)]
    thumbs = rng.uniform(0, 255, (MANY, 32, 32)).astype(np.float32)
    looks = [Look(Header(), thumb, (0, 0, 0), 0, None) for thumb in thumbs]
    seconds = {}
    for has_test in (True, False):
        found = Survey(Dataset(Path("."), "none", tuple(samples), has_test), ())
        took = median_seconds(lambda found=found: list(near_copies(scan(found, records, looks))), repeats=3, warmup=0)
        seconds["test against training" if has_test else "all against all"] = round(took, 2)
    return seconds


def main() -> None:
    figures: dict[str, object] = {"seconds for 5000 images": many()}
    for name in PRODUCTS:
        found, records, looks = read(SHARED / "data" / name)
        began = time.perf_counter()
        problems = list(near_copies(scan(found, records, looks)))
        bars = {float(re.findall(r"stay below ([\d.]+)", p.message)[0]) for p in problems}
        figures[name] = {
            "images": len(records),
            "test": sum(r.sample.part == TEST for r in records) if found.dataset.has_test else None,
            "seconds": round(time.perf_counter() - began, 2),
            "bar": bars.pop() if bars else None,
            "pairs": [[path.relative_to(found.dataset.root).as_posix() for path in p.paths] for p in problems],
            "planted and found": planted(found, records, looks),
        }
    print(write("near_copies", figures, seed=SEED, planted=PLANTED))


if __name__ == "__main__":
    main()
