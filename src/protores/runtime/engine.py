"""The network of a bundle in a runtime: OpenVINO, the fastest on a CPU, or ONNX Runtime, which runs anywhere."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from protores.bundle.contract import Contract
from protores.bundle.quiet import openvino_core
from protores.errors import BundleError
from protores.machine import usable_cores

if TYPE_CHECKING:
    import openvino

Runtime = Literal["openvino", "onnxruntime"]
RUNTIMES: tuple[Runtime, ...] = get_args(Runtime)

OPENVINO_PRECISIONS = {"f32": "f32", "bf16": "bf16", "int8": "bf16"}
"""What a model's precision means to OpenVINO; in int8 it is for what was not quantised."""
INSTALLED_BY = {"openvino": "'protores[openvino]'", "onnxruntime": "onnxruntime"}


class Engine(Protocol):
    """Images in, anomaly maps out. name: the runtime's."""

    name: str

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """images: B x 3 x H x W in [0, 1], RGB, of the contract's size. Returns B x H x W in [0, 1]."""
        ...

    def recognise(self, images: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """For a network of several products: the maps and, B x P, how far each image lies from each product."""
        ...


def open_engine(folder: Path, contract: Contract, runtime: str | None = None, threads: int | None = None) -> Engine:
    """The bundle's network, ready to run.

    runtime: openvino or onnxruntime; None: OpenVINO where it is installed and ONNX Runtime elsewhere. An ONNX model
    runs in both, an OpenVINO model in OpenVINO only. threads: None: as many as there are cores.
    Raises BundleError where the runtime is unknown, is missing, or cannot run the model.
    """
    chosen = _choose(contract, runtime)
    engine = OpenVINOEngine if chosen == "openvino" else ONNXRuntimeEngine
    try:
        return engine(folder / contract.model.file, contract, threads or usable_cores())
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise BundleError(f"{folder}: {chosen} cannot run the model ({reason}); export it anew") from error


def runtimes_for(contract: Contract) -> list[Runtime]:
    """The runtimes that can run the bundle's model and are installed, the fastest first."""
    return [name for name in _able(contract) if find_spec(name)]


class ONNXRuntimeEngine:
    """ONNX Runtime on the CPU."""

    name = "onnxruntime"

    def __init__(self, model: Path, contract: Contract, threads: int):
        import onnxruntime

        onnxruntime.set_default_logger_severity(3)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that spin while they wait take the cores from those that decode and write images.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        try:
            self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no common base but this
            raise RuntimeError(str(error)) from error
        self.input, self.output, self.distances = contract.model.input, contract.model.output, contract.model.distances

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """See Engine."""
        return np.asarray(self.session.run([self.output], {self.input: np.ascontiguousarray(images)})[0])

    def recognise(self, images: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See Engine."""
        maps, distances = self.session.run([self.output, self.distances], {self.input: np.ascontiguousarray(images)})
        return np.asarray(maps), np.asarray(distances)


class OpenVINOEngine:
    """OpenVINO on the CPU, in the precision that the contract names, whatever the processor would like best."""

    name = "openvino"

    def __init__(self, model: Path, contract: Contract, threads: int):
        self.core = openvino_core()
        self.options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": OPENVINO_PRECISIONS[contract.model.precision],
            "INFERENCE_NUM_THREADS": threads,
        }
        self.model, self.input, self.output = model, contract.model.input, contract.model.output
        self.distances = contract.model.distances
        self.single = [1, 3, *contract.image.size]
        self.requests = {True: self._request(True)}

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """See Engine."""
        return self._infer(images)[self.output].copy()

    def recognise(self, images: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See Engine."""
        found = self._infer(images)
        return found[self.output].copy(), found[self.distances].copy()

    def _infer(self, images: NDArray[np.float32]) -> Any:
        alone = len(images) == 1
        if alone not in self.requests:
            self.requests[alone] = self._request(alone)
        return self.requests[alone].infer({self.input: np.ascontiguousarray(images)}, share_inputs=True)

    def _request(self, alone: bool) -> "openvino.InferRequest":
        """For one image at a time, where fixed shapes are faster (docs/performance.md), or for any number of them."""
        model = self.core.read_model(self.model)
        if alone:
            model.reshape(self.single)
        return self.core.compile_model(model, "CPU", self.options).create_infer_request()


def _able(contract: Contract) -> tuple[Runtime, ...]:
    return RUNTIMES if contract.model.format == "onnx" else ("openvino",)


def _choose(contract: Contract, runtime: str | None) -> Runtime:
    able = _able(contract)
    if runtime is None:
        runtime = next((name for name in able if find_spec(name)), able[-1])
    for name in RUNTIMES:
        if name != runtime:
            continue
        if name not in able:
            raise BundleError("ONNX Runtime cannot run an OpenVINO model; take openvino, or export with --format onnx")
        if not find_spec(name):
            raise BundleError(f"{name} is not installed; pip install {INSTALLED_BY[name]}")
        return name
    raise BundleError(f"unknown runtime {runtime!r}; choose {' or '.join(RUNTIMES)}")
