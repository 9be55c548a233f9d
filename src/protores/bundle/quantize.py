"""INT8 by NNCF's post-training quantisation of the convolutions, all but the first.

What else NNCF would quantise stays in float: sums of branches, and above all the residuals' squares and roots, whose
range is wide, cost far more accuracy than they save time. Ranges are taken from good images half of which have an
anomaly drawn into them: on good images alone no activation ever is as large as a defect makes it. docs/bundle.md has
the figures.
"""

import contextlib
import logging
import os
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from protores.bundle.convert import INPUT
from protores.bundle.quiet import import_quietly
from protores.data.image import network_input

if TYPE_CHECKING:
    import onnx

FLOAT = ["MatMul", "Gemm", "Add", "Subtract", "Sub", "Multiply", "Mul", "Divide", "Div", "Power", "Pow", "Sqrt"]
"""Operations that are not quantised, by their names in OpenVINO and in ONNX."""


def quantize(model: Any, images: NDArray[np.uint8], format: Literal["onnx", "openvino"]) -> Any:
    """A model (of onnx or openvino) in INT8. images: N x H x W x 3, what ranges are taken from."""
    nncf = import_quietly("nncf")
    nncf.set_log_level(logging.ERROR)

    def transform(image: NDArray[np.uint8]) -> Any:
        given = network_input(image[None])
        return {INPUT: given} if format == "onnx" else given

    halves = _to_single(model) if format == "onnx" else []
    kept = nncf.IgnoredScope(names=[_stem(model, format)], types=FLOAT, validate=False)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        quantized = nncf.quantize(
            model, nncf.Dataset(images, transform), subset_size=len(images), ignored_scope=kept
        )
    if format == "onnx":
        _to_half(quantized, halves)
    return quantized


def _stem(model: Any, format: Literal["onnx", "openvino"]) -> str:
    """The name of the first convolution."""
    if format == "onnx":
        return next(node.name for node in model.graph.node if node.op_type == "Conv")
    return next(op.get_friendly_name() for op in model.get_ordered_ops() if op.get_type_name() == "Convolution")


def _to_single(model: "onnx.ModelProto") -> list[str]:
    """Makes constants in half precision single, in place, as NNCF cannot read a cast of a constant. Their names."""
    from onnx import TensorProto, numpy_helper

    graph = model.graph
    halves = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT16}
    for name, tensor in halves.items():
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), name))
    for cast in [node for node in graph.node if node.op_type == "Cast" and node.input[0] in halves]:
        graph.node.remove(cast)
        _rename_input(graph, cast.output[0], cast.input[0])
    del graph.value_info[:]
    return list(halves)


def _to_half(model: "onnx.ModelProto", names: list[str]) -> None:
    """What _to_single did, undone: these constants in half precision, each with a cast behind it."""
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    for tensor in [tensor for tensor in graph.initializer if tensor.name in names]:
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), name))
        _rename_input(graph, name, f"{name}_single")
        graph.node.insert(0, helper.make_node("Cast", [name], [f"{name}_single"], to=TensorProto.FLOAT))


def _rename_input(graph: Any, old: str, new: str) -> None:
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name == old:
                node.input[place] = new
