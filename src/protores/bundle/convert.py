"""The deployed network as ONNX, and that as OpenVINO IR."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from protores.bundle.graph import Deployed, ProductDeployed
from protores.bundle.quiet import openvino_core

if TYPE_CHECKING:
    import onnx
    import openvino

OPSET = 18
"""What torch's exporter writes by itself, and every ONNX Runtime since 1.14 and OpenVINO since 2023 reads."""
INPUT, OUTPUT, DISTANCES = "image", "anomaly_map", "product_distances"


def to_onnx(module: Deployed, size: tuple[int, int]) -> "onnx.ModelProto":
    """The graph by torch.onnx's dynamo exporter, with any batch; size: height and width, fixed.

    The names and source lines that the exporter notes beside each node are taken out: they are paths of this machine.
    """
    example = torch.zeros(2, 3, *size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT, DISTANCES] if isinstance(module, ProductDeployed) else [OUTPUT],
            dynamic_shapes={INPUT: {0: torch.export.Dim("batch", min=1)}},
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    model = program.model_proto
    for part in _parts(model):
        del part.metadata_props[:]
        part.doc_string = ""
    return model


def to_openvino(path: Path) -> "openvino.Model":
    """The ONNX file as an OpenVINO model.

    By read_model and not by convert_model: the latter turns the half-precision prototypes into single precision ahead
    of time, which doubles the bundle; the former leaves that to the moment of compiling.
    """
    return openvino_core().read_model(path, config={"ENABLE_MMAP": False})


def _parts(model: "onnx.ModelProto") -> Iterator:
    yield from (model, model.graph)
    for parts in (model.graph.node, model.graph.input, model.graph.output, model.graph.value_info):
        yield from parts
    yield from model.graph.initializer
