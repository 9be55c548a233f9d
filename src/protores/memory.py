"""Fewer images at once where a GPU has too little memory for them."""

from collections.abc import Callable
from typing import TypeVar

import torch

from protores.errors import RunError

_Done = TypeVar("_Done")


def fitting(
    images: int, work: Callable[[int], _Done], least: int = 1, told: Callable[[str], None] = lambda line: None
) -> _Done:
    """work(images), or with half as many each time that GPU memory runs out, down to `least` images at once.

    work: can be called again after it failed. told: is told of each halving. Raises RunError where `least` are still
    too many.
    """
    while True:
        try:
            return work(images)
        except torch.OutOfMemoryError:
            if images // 2 < least:
                raise RunError(
                    f"out of GPU memory with {images} images at once; close what else uses it, lower data.size, or work"
                    " without the GPU: set CUDA_VISIBLE_DEVICES to nothing"
                ) from None
        # Behind the handler: while it lasts, the traceback holds on to what was allocated.
        told(f"out of GPU memory with {images} images at once; going on with {images // 2}")
        images //= 2
        torch.cuda.empty_cache()
