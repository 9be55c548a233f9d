"""Images from the cache of decoded ones, against decoding them and against memory: time to open, time per batch.

    python benchmarks/cache.py [--rounds 3] [--batches 60]

The product is MVTec AD grid (1024 x 1024 PNG files) at 256 x 256. Opening it is what every command does first: without
a cache; with an empty one, which is filled on the way; and with a full one, from which all is read and checked. A batch
is what training takes in a step, anomalies included, made from images in memory and from images in the cache; reading
alone is an image of each, looked at once. All on one thread, alternately; medians.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import cv2
import numpy as np
from common import SHARED, write

from protores.data.cache import Cache
from protores.data.layouts import recognise
from protores.data.store import ImageStore
from protores.settings import SynthesisSettings, TrainingSettings
from protores.synthesis.synthesizer import Synthesizer
from protores.training.loader import Batches

SIZE = (256, 256)


def opened(folder: Path | None) -> ImageStore:
    samples = [s for s in recognise(SHARED / "data/mvtec_ad/grid").samples if s.is_good and s.part == "train"]
    cache = None if folder is None else Cache(folder, 10**12)
    return ImageStore.build(samples, SIZE, False, 8, threads=1, cache=cache)


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", type=int, default=60)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as home:
        folder, empty = Path(home) / "full", Path(home) / "empty"
        stores = {"memory": opened(None), "cache": opened(folder)}
        times: dict[str, list[float]] = {}
        for _ in range(arguments.rounds):
            times.setdefault("open_without", []).append(seconds(lambda: opened(None)))
            times.setdefault("open_filling", []).append(seconds(lambda: opened(empty)))
            times.setdefault("open_full", []).append(seconds(lambda: opened(folder)))
            shutil.rmtree(empty)
        none = np.zeros((0, *SIZE, 3), np.uint8), np.zeros((0, *SIZE), np.uint8)
        batches = {
            name: Batches(
                store.images,
                *none,
                Synthesizer(store.images, *none, None, SynthesisSettings(), 0),
                TrainingSettings(),
                0,
            )
            for name, store in stores.items()
        }
        for step in range(arguments.batches):
            for name, made in batches.items():
                times.setdefault(f"batch_{name}", []).append(seconds(lambda made=made, step=step: made[step]))
        for place in range(len(stores["cache"])):
            for name, store in stores.items():
                read = seconds(lambda store=store, place=place: store.images[place].sum())
                times.setdefault(f"image_{name}", []).append(read)
    medians = {name: statistics.median(found) for name, found in times.items()}
    images = len(stores["cache"])
    figures = {
        "images": images,
        **{f"{name}_ms": round(1000 * medians[name] / images, 2) for name in medians if name.startswith("open")},
        **{f"{name}_ms": round(1000 * medians[name], 3) for name in medians if not name.startswith("open")},
        "opened_times_as_fast": round(medians["open_without"] / medians["open_full"], 1),
        "batch_cache_over_memory": round(medians["batch_cache"] / medians["batch_memory"], 3),
    }
    print(figures)
    write("cache", figures, rounds=arguments.rounds, batches=arguments.batches, others="the machine was shared")


if __name__ == "__main__":
    main()
