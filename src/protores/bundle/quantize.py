"""INT8 by NNCF's post-training quantisation: ranges of the activations are those on good images of the run."""

import contextlib
import logging
import os
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from protores.bundle.convert import INPUT
from protores.bundle.quiet import import_quietly
from protores.data.image import network_input

IMAGES = 128
"""Good images that ranges are taken from, spread evenly over all of them."""


def quantize(model: Any, images: NDArray[np.uint8], format: Literal["onnx", "openvino"]) -> tuple[Any, int]:
    """A model (of onnx or openvino) in INT8, and on how many images it was calibrated. images: N x H x W x 3."""
    nncf = import_quietly("nncf")
    nncf.set_log_level(logging.ERROR)
    picked = images[np.unique(np.linspace(0, len(images) - 1, IMAGES).round().astype(int))]

    def transform(image: NDArray[np.uint8]) -> Any:
        given = network_input(image[None])
        return {INPUT: given} if format == "onnx" else given

    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        quantized = nncf.quantize(model, nncf.Dataset(picked, transform), subset_size=len(picked))
    return quantized, len(picked)
