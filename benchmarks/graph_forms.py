"""What each change of form in bundle/graph.py gains: CPU time of one thread, one image, forms in turn.

    python benchmarks/graph_forms.py [--prototypes 40] [--rounds 21]

Random weights. "trained": the network as training leaves it; then each change of `deployed` on top of those before;
"open batch" is the last with its shapes left open, as an ONNX file has them. CPU time of one thread is hardly touched
by what else runs, but does not show what two threads gain by sharing.
"""

import argparse
import copy
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from common import write
from torch import Tensor, nn

from protores.bundle import graph, stored
from protores.bundle.quiet import openvino_core
from protores.model.network import PRN, build_network
from protores.presets import load

SIDE = 256


class Trained(nn.Module):
    def __init__(self, network: PRN):
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return self.network.anomaly_map(image)


def network(prototypes: int, cells: int) -> PRN:
    torch.manual_seed(0)
    settings = load("standard", {"model.weights": "random", "model.match_cells": cells}).model
    built = build_network(settings, (SIDE, SIDE), prototypes, prototypes).eval()
    for s in range(built.residuals.prototypes.scales):
        maps, norms = (getattr(built.residuals.prototypes, f"{name}_{s}") for name in ("maps", "norms"))
        maps.copy_(torch.rand_like(maps).half())
        norms.copy_(built.residuals.prototypes.averaged(maps).flatten(1).square().sum(1))
    return built


def forms(prototypes: int) -> dict[str, nn.Module]:
    """Each form on top of the ones before."""
    trained = network(prototypes, 1)
    found: dict[str, nn.Module] = {"trained": Trained(copy.deepcopy(trained))}
    changed = copy.deepcopy(trained)
    changed.residuals.prototypes = stored.StoredPrototypes(changed.residuals.prototypes)
    found["distances around the mean"] = Trained(copy.deepcopy(changed))
    changed.residuals = stored.LogResiduals(changed.residuals)
    found["logarithm by roots"] = Trained(copy.deepcopy(changed))
    found["enlargements by matrices"] = graph.deployed(trained)
    found["match_cells 2"] = graph.deployed(network(prototypes, 2))
    return {name: module.eval() for name, module in found.items()}


def exported(module: nn.Module, path: Path, batch: int | None) -> Path:
    example = torch.rand(batch or 2, 3, SIDE, SIDE)
    shapes = None if batch else {"image": {0: torch.export.Dim("batch", min=1)}}
    program = torch.onnx.export(
        module, (example,), dynamo=True, opset_version=18, verbose=False, dynamic_shapes=shapes, input_names=["image"]
    )
    onnx.save(program.model_proto, path)
    return path


def openvino_call(path: Path, precision: str, image: np.ndarray) -> Callable[[], Any]:
    options = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": 1}
    request = openvino_core().compile_model(path, "CPU", options).create_infer_request()
    return lambda: request.infer({0: image}, share_inputs=True)


def onnxruntime_call(path: Path, image: np.ndarray) -> Callable[[], Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"image": image})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prototypes", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=21)
    arguments = parser.parse_args()
    image = np.random.default_rng(0).random((1, 3, SIDE, SIDE), np.float32)
    calls = {}
    with tempfile.TemporaryDirectory() as folder:
        made = forms(arguments.prototypes)
        files = {name: exported(module, Path(folder) / f"{i}.onnx", 1) for i, (name, module) in enumerate(made.items())}
        files["open batch"] = exported(made["enlargements by matrices"], Path(folder) / "open.onnx", None)
        for name, path in files.items():
            calls[name, "openvino bf16"] = openvino_call(path, "bf16", image)
            calls[name, "openvino f32"] = openvino_call(path, "f32", image)
            calls[name, "onnxruntime f32"] = onnxruntime_call(path, image)
        times: dict[Any, list[float]] = {key: [] for key in calls}
        for turn in range(arguments.rounds + 1):
            for key, call in calls.items():
                start = time.process_time()
                call()
                if turn:
                    times[key].append(1e3 * (time.process_time() - start))
    figures: dict[str, Any] = {"prototypes": arguments.prototypes, "cpu_ms": {}}
    for (name, runtime), own in times.items():
        figures["cpu_ms"].setdefault(name, {})[runtime] = round(statistics.median(own), 2)
    for name, own in figures["cpu_ms"].items():
        print(f"{name:28s}", own)
    write("graph_forms", figures, seed=0)
