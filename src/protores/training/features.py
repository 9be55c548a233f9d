"""The frozen backbone's features of the normal images: made once, for the prototypes and for every batch."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from protores.data.frames import Frames
from protores.files import allocate
from protores.memory import fitting
from protores.model.backbone import STRIDES, Backbone
from protores.model.maps import MappedMaps, Maps
from protores.training.group import ALONE, Group

IN_MEMORY = 256 << 20


@torch.no_grad()
def extract_features(
    backbone: Backbone,
    images: Frames | NDArray[np.uint8],
    bf16: bool,
    folder: Path,
    told: Callable[[int], None] = lambda done: None,
    batch_size: int = 16,
    group: Group = ALONE,
) -> list[Maps]:
    """Feature maps of the images, N x C x H x W per scale, channels last; bfloat16 if `bf16`, else float32.

    images: N x H x W x 3 uint8. Beyond IN_MEMORY bytes the maps are files in `folder`, of which no more is in memory
    than is used. told: is told how many images are done. group: each process makes a part of the maps, and all get all
    of them. Raises OSError where the disk has no room for them.
    """
    n, height, width, _ = images.shape
    dtype = torch.bfloat16 if bf16 else torch.float32
    shapes = [(n, c, height // s, width // s) for c, s in zip(backbone.channels, STRIDES, strict=True)]
    on_disk = sum(np.prod(shape) for shape in shapes) * dtype.itemsize > IN_MEMORY
    features = [
        _in_file(folder / f"features_{s}", shape, dtype, group)
        if on_disk
        else torch.empty(shape, dtype=dtype, memory_format=torch.channels_last)
        for s, shape in enumerate(shapes)
    ]
    device = backbone.mean.device
    batches = -(-n // batch_size)
    bounds = [min(n, batches * process // group.size * batch_size) for process in range(group.size + 1)]
    first, last = bounds[group.rank : group.rank + 2]

    def fill(batch_size: int) -> None:
        for start in range(first, last, batch_size):
            batch = torch.from_numpy(images[start : min(start + batch_size, last)]).to(device).permute(0, 3, 1, 2)
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                maps = backbone(batch.float() / 255)
            for kept, found in zip(features, maps, strict=True):
                kept[start : start + len(batch)] = found
            told((start + len(batch) - first) * n // (last - first))

    fitting(batch_size, fill)
    for process, (start, stop) in enumerate(pairwise(bounds)):
        for at in range(start, stop, batch_size):
            for kept in features:
                group.copy(kept[at : min(at + batch_size, stop)], process)
    return features


def _in_file(path: Path, shape: tuple[int, int, int, int], dtype: torch.dtype, group: Group) -> MappedMaps:
    group.on_first(lambda: allocate(path, int(np.prod(shape)) * dtype.itemsize))  # one file for all processes
    return MappedMaps(path, shape, dtype)
