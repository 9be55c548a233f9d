"""Golden samples: a few images with the map and score that the training code gave, to hold every runtime against."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from protores.bundle.contract import Contract, Sample
from protores.data.image import read_image
from protores.data.sample import GOOD
from protores.errors import BundleError

FOLDER = "golden"
Maps = NDArray[np.float32]


def choose(kinds: Sequence[str], scores: NDArray[np.float32]) -> list[int]:
    """Which of a pool of images become samples: of the good, and of each kind of defects, lowest, middle and highest
    score, up to two kinds; fewer where there are fewer images."""
    defects = sorted(set(kinds) - {GOOD}, key=lambda kind: (-kinds.count(kind), kind))
    chosen: dict[int, None] = {}
    for kind in (GOOD, *defects[:2]):
        own = sorted((i for i, k in enumerate(kinds) if k == kind), key=lambda i: (scores[i], i))
        if own:
            chosen |= dict.fromkeys((own[0], own[len(own) // 2], own[-1]))
    return list(chosen)


def write(
    folder: Path,
    images: NDArray[np.uint8],
    maps: Maps,
    scores: Maps,
    kinds: Sequence[str],
    products: Sequence[str | None],
) -> tuple[Sample, ...]:
    """Writes N images (N x H x W x 3 uint8 RGB) and maps (N x H x W) into the bundle's folder. products: which of
    several each one shows."""
    (folder / FOLDER).mkdir()
    samples = []
    told = zip(images, maps, scores, kinds, products, strict=True)
    for i, (image, anomaly_map, score, kind, product) in enumerate(told):
        names = f"{FOLDER}/{i}.png", f"{FOLDER}/{i}.npy"
        sample = Sample(image=names[0], map=names[1], score=float(score), kind=kind, product=product)
        png = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1]
        (folder / sample.image).write_bytes(png.tobytes())
        np.save(folder / sample.map, anomaly_map.astype(np.float32), allow_pickle=False)
        samples.append(sample)
    return tuple(samples)


def read(folder: Path, contract: Contract) -> tuple[NDArray[np.uint8], Maps]:
    """Images N x H x W x 3 (uint8 RGB) and maps N x H x W. Raises BundleError for one of another size or type."""
    height, width = contract.image.size
    images, maps = [], []
    for sample in contract.golden.samples:
        image = read_image(folder / sample.image)
        try:
            anomaly_map = np.load(folder / sample.map, allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise BundleError(f"{folder / sample.map} is no map; export the bundle anew") from error
        if image.shape != (height, width, 3) or anomaly_map.shape != (height, width) or anomaly_map.dtype != np.float32:
            raise BundleError(f"{folder / sample.image} or its map has another size or type; export the bundle anew")
        images.append(image)
        maps.append(anomaly_map)
    return np.stack(images), np.stack(maps)


def deviations(maps: Maps, golden: Maps) -> NDArray[np.float64]:
    """The largest absolute difference of each of N maps to its golden one; NaN where a map is not a number."""
    return np.abs(maps.astype(np.float64) - golden).max(axis=(1, 2))
