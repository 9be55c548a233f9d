"""The frozen backbone's features of the normal images: made once, for the prototypes and for every batch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from protores.files import allocate
from protores.memory import fitting
from protores.model.backbone import STRIDES, Backbone

IN_MEMORY = 2 << 30


@torch.no_grad()
def extract_features(
    backbone: Backbone,
    images: NDArray[np.uint8],
    bf16: bool,
    folder: Path,
    told: Callable[[int], None] = lambda done: None,
    batch_size: int = 16,
) -> list[Tensor]:
    """Feature maps of the images, N x C x H x W per scale, channels last; bfloat16 if `bf16`, else float32.

    images: N x H x W x 3 uint8. Beyond IN_MEMORY bytes the maps are files in `folder`, mapped to memory.
    told: is told how many images are done. Raises OSError where the disk has no room for them.
    """
    n, height, width, _ = images.shape
    dtype = torch.bfloat16 if bf16 else torch.float32
    shapes = [(n, height // s, width // s, c) for c, s in zip(backbone.channels, STRIDES, strict=True)]
    on_disk = sum(np.prod(shape) for shape in shapes) * dtype.itemsize > IN_MEMORY
    features = [
        _mapped(folder / f"features_{s}", shape, dtype) if on_disk else torch.empty(shape, dtype=dtype)
        for s, shape in enumerate(shapes)
    ]
    device = backbone.mean.device

    def fill(batch_size: int) -> None:
        for start in range(0, n, batch_size):
            batch = torch.from_numpy(images[start : start + batch_size]).to(device).permute(0, 3, 1, 2)
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                maps = backbone(batch.float() / 255)
            for kept, found in zip(features, maps, strict=True):
                kept[start : start + len(batch)] = found.permute(0, 2, 3, 1)
            told(start + len(batch))

    fitting(batch_size, fill)
    return [kept.permute(0, 3, 1, 2) for kept in features]


def _mapped(path: Path, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    allocate(path, int(np.prod(shape)) * dtype.itemsize)
    return torch.from_file(str(path), shared=True, size=int(np.prod(shape)), dtype=dtype).view(shape)
