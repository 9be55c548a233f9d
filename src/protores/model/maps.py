"""Feature maps of many images, in a file: mapped to memory while a part of them is read or written, and no longer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor


class MappedMaps:
    """N x C x H x W in channels last, of any floating type; indexed like a tensor, which gives a tensor in memory or,
    for a slice, one that is mapped for as long as it is held.

    path: a file of so many maps or more, of which these begin at `first`. A process that kept all of it mapped would
    count every page that it ever read as its own.
    """

    def __init__(self, path: Path, shape: tuple[int, int, int, int], dtype: torch.dtype, first: int = 0):
        self.path = path
        self.shape = torch.Size(shape)
        self.dtype = dtype
        self.first = first

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Tensor:
        return self._mapped()[index]

    def __setitem__(self, index: Any, maps: Tensor) -> None:
        self._mapped()[index] = maps

    def split(self, sizes: Sequence[int]) -> "list[MappedMaps]":
        """So many of them each, in turn, none of them read."""
        starts = np.cumsum([self.first, *sizes]).tolist()
        return [
            MappedMaps(self.path, (size, *self.shape[1:]), self.dtype, start)
            for size, start in zip(sizes, starts, strict=False)
        ]

    def _mapped(self) -> Tensor:
        n, c, h, w = self.shape
        size = (self.first + n) * c * h * w
        flat = torch.from_file(str(self.path), shared=True, size=size, dtype=self.dtype)
        return flat.view(-1, h, w, c)[self.first :].permute(0, 3, 1, 2)


Maps = Tensor | MappedMaps
