"""Speed and memory of an exported network on 2 cores, beside the backbone alone and, where given, other networks.

    python benchmarks/speed.py [--prototypes 40] [--rounds 31] [--peers DIR] [--set KEY=VALUE]
                               [--keep DIR] [--only network,steps,folder,fresh]

The floor is the frozen backbone alone, ResNet-18 to layer 3. Ours is the standard network as `protores export` writes
it and as the runtime runs it; random weights, one optimiser step on the toy product. DIR is what benchmarks/peers.py
wrote. All networks take turns, round by round; each turn is one call that is not timed and one that is, and medians,
minima and maxima are over the rounds. Everything runs pinned to two cores, in two threads.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "3000")

import cv2
import numpy as np
import onnx
import torch
from common import ROOT, write
from torch import Tensor, nn

from protores import workflow
from protores.bundle.contract import Contract
from protores.bundle.quiet import import_quietly, openvino_core
from protores.data.image import decode_image, network_input, to_rgb
from protores.model.backbone import Backbone
from protores.model.network import build_network
from protores.prediction import predict
from protores.presets import load
from protores.runtime.engine import open_engine
from protores.runtime.inspector import Inspector
from protores.toy.dataset import draw, draw_good

SIDE = 256
PHOTO = 1024
FOLDER = 500
BATCHES = {1: 1, 8: 3}
"""Batch sizes, and by what the rounds are divided."""
FRESH = 7
PAUSE = 0.01
"""Seconds between turns, in which a runtime's threads stop waiting for work."""
EXPORTS = {
    "onnx_f32": ("onnx", "f32"),
    "onnx_int8": ("onnx", "int8"),
    "openvino_f32": ("openvino", "f32"),
    "openvino_bf16": ("openvino", "bf16"),
    "openvino_int8": ("openvino", "int8"),
}
Call = Callable[[], Any]
Figures = dict[str, Any]


class Floor(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = Backbone.load("resnet18", "random")[0]

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.backbone(image))


def bundles(
    home: Path, prototypes: int, changes: dict[str, str], names: Iterable[str] = EXPORTS
) -> dict[str, Path]:
    """A run of one step on the toy product, exported in these ways; what is in `home` already is used as it is."""
    if not (home / "run" / "metrics.json").exists():
        _train(home, prototypes, changes)
    for name in names:
        format, precision = EXPORTS[name]
        if not (home / name).exists():
            workflow.export(home / "run", home / name, format, precision, force=True)
            outline(home / name)
    return {name: home / name for name in names}


def _train(home: Path, prototypes: int, changes: dict[str, str]) -> None:
    draw(home / "toy", good=max(60, 2 * prototypes), test_good=4, defects_per_kind=2)
    sizes = {"model.prototype_share": 1.0, "model.prototype_cap": prototypes}
    short = {"training.steps": 1, "model.weights": "random", "split.seen": 2}
    workflow.train(home / "toy", home / "run", "standard", changes | sizes | short)


def outline(bundle: Path) -> None:
    """A threshold that random weights reach, so that there are regions to be found."""
    contract = Contract.read(bundle)
    found = Inspector(bundle)(draw_good(np.random.default_rng(1), PHOTO))
    decision = contract.decision.model_copy(update={"map_threshold": float(np.quantile(found.network_map, 0.99))})
    contract.model_copy(update={"decision": decision}).write(bundle)


def openvino_call(model: Any, precision: str, images: np.ndarray) -> Call:
    model.reshape(list(images.shape))
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": 2}
    request = openvino_core().compile_model(model, "CPU", options).create_infer_request()
    return lambda: request.infer({0: images}, share_inputs=True)


def onnxruntime_call(path: Path, images: np.ndarray) -> Call:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = 2, 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: images})


def engine_call(bundle: Path, runtime: str, images: np.ndarray) -> Call:
    engine = open_engine(bundle, Contract.read(bundle), runtime, 2)
    return lambda: engine(images)


def torch_call(module: nn.Module, bf16: bool, images: np.ndarray) -> Call:
    given = torch.from_numpy(images).to(memory_format=torch.channels_last)

    def call() -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            module(given)

    return call


def networks(home: Path, ours: dict[str, Path], peers: Path | None, network: nn.Module, batch: int) -> dict[str, Call]:
    """Every network in every runtime, by name, runtime and precision."""
    images = np.random.default_rng(0).random((batch, 3, SIDE, SIDE), np.float32)
    calls: dict[str, Call] = {}
    floor = Floor().eval()
    path = home / f"floor_{batch}.onnx"
    program = torch.onnx.export(floor, (torch.from_numpy(images),), dynamo=True, opset_version=18, verbose=False)
    onnx.save(program.model_proto, path)
    read = openvino_core().read_model
    calls["floor openvino f32"] = openvino_call(read(path), "f32", images)
    calls["floor openvino bf16"] = openvino_call(read(path), "bf16", images)
    some = import_quietly("nncf").Dataset([images] * 4)
    calls["floor openvino int8"] = openvino_call(import_quietly("nncf").quantize(read(path), some), "bf16", images)
    calls["floor onnxruntime f32"] = onnxruntime_call(path, images)
    for name in ("openvino_f32", "openvino_bf16", "openvino_int8"):
        calls[f"ours {name.replace('_', ' ')}"] = engine_call(ours[name], "openvino", images)
    for name in ("onnx_f32", "onnx_int8"):
        calls[f"ours onnxruntime {name.split('_')[1]}"] = engine_call(ours[name], "onnxruntime", images)
    for name, module in (("floor", floor), ("ours", network)):
        module = module.to(memory_format=torch.channels_last)
        calls[f"{name} torch f32"] = torch_call(module, False, images)
        calls[f"{name} torch bf16"] = torch_call(module, True, images)
    for file in sorted(peers.glob(f"*_{batch}.onnx")) if peers else ():
        name = file.stem.rsplit("_", 1)[0]
        for precision in ("f32", "bf16"):
            calls[f"{name} openvino {precision}"] = openvino_call(read(file), precision, images)
        calls[f"{name} onnxruntime f32"] = onnxruntime_call(file, images)
    return calls


def spread(times: list[float]) -> Figures:
    return {
        "median_ms": round(1e3 * statistics.median(times), 2),
        "min_ms": round(1e3 * min(times), 2),
        "max_ms": round(1e3 * max(times), 2),
    }


def in_turns(calls: dict[str, Call], rounds: int) -> dict[str, Figures]:
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            call()
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
            time.sleep(PAUSE)
    return {name: spread(own) for name, own in times.items()}


def ratios(figures: dict[str, Figures]) -> dict[str, float]:
    """The issue's: ours over the floor and over the fastest peer of the same training signal, in the same runtime."""
    asked = {
        "ours / floor, openvino bf16": ("ours openvino bf16", "floor openvino bf16"),
        "ours / floor, openvino f32": ("ours openvino f32", "floor openvino f32"),
        "ours / supersimplenet_r18, openvino bf16": ("ours openvino bf16", "supersimplenet_r18 openvino bf16"),
        "ours int8 / floor bf16, openvino": ("ours openvino int8", "floor openvino bf16"),
        "ours / floor, onnxruntime f32": ("ours onnxruntime f32", "floor onnxruntime f32"),
        "ours / supersimplenet_r18, onnxruntime f32": ("ours onnxruntime f32", "supersimplenet_r18 onnxruntime f32"),
    }
    return {
        name: round(figures[a]["median_ms"] / figures[b]["median_ms"], 3)
        for name, (a, b) in asked.items()
        if b in figures
    }


def steps(bundle: Path, runtime: str, rounds: int) -> Figures:
    """From an encoded photo in memory to score and regions, and what its steps take."""
    inspector = Inspector(bundle, runtime, threads=2)
    procedure = inspector.procedure
    photo = cv2.imencode(".png", draw_good(np.random.default_rng(2), PHOTO)[..., ::-1])[1].tobytes()
    prepared = procedure.prepare(photo)
    maps = procedure.run(inspector.engine, [prepared])
    given = network_input(prepared.views)

    def found() -> None:
        procedure.finish(prepared.size, maps[0]).regions  # noqa: B018

    calls = {
        "whole": lambda: inspector(photo).regions,
        "decode": lambda: to_rgb(decode_image(photo, "photo").pixels, 8),
        "resize": lambda: procedure.view.cut(prepared.image),
        "network": lambda: inspector.engine(given),
        "score and regions": found,
    }
    figures = in_turns(calls, rounds)
    parts = sum(figures[name]["median_ms"] for name in calls if name != "whole")
    shares = {name: round(figures[name]["median_ms"] / parts, 3) for name in calls if name != "whole"}
    regions = len(inspector(photo).regions)
    return {**figures, "shares": shares, "regions": regions, "png_bytes": len(photo)}


def folder(home: Path, bundle: Path) -> Figures:
    """Images per second of `protores predict` over a folder of PNG files of 512 x 512, drawn images several times."""
    images = home / "images"
    images.mkdir()
    drawn = [
        cv2.imencode(".png", draw_good(np.random.default_rng(seed), 512)[..., ::-1])[1].tobytes() for seed in range(50)
    ]
    for number in range(FOLDER):
        (images / f"{number:03d}.png").write_bytes(drawn[number % len(drawn)])
    figures: Figures = {"images": FOLDER, "size": [512, 512]}
    for name, pictures in (("with pictures", True), ("without pictures", False)):
        start = time.perf_counter()
        predict(bundle, [images], home / name, threads=2, pictures=pictures)
        figures[f"images_per_second_{name.replace(' ', '_')}"] = round(FOLDER / (time.perf_counter() - start), 1)
    return figures


PROGRAM = """
import time
start = time.perf_counter()
import sys
from pathlib import Path
from protores import Inspector
bundle, runtime, photo = sys.argv[1:]
found = Inspector(bundle, runtime, threads=2)(photo).score
seconds = time.perf_counter() - start
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(seconds, int(peak.split()[1]) / 1024)
"""


def fresh(home: Path, bundle: Path, runtime: str) -> Figures:
    """A new process each time: from import to the first result, from the start of the process, and its peak memory."""
    photo = home / "photo.png"
    photo.write_bytes(cv2.imencode(".png", draw_good(np.random.default_rng(2), PHOTO)[..., ::-1])[1].tobytes())
    imported, whole, peaks = [], [], []
    for _ in range(FRESH + 1):
        start = time.perf_counter()
        command = [sys.executable, "-c", PROGRAM, str(bundle), runtime, str(photo)]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
        told = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.split()
        whole.append(time.perf_counter() - start)
        imported.append(float(told[0]))
        peaks.append(float(told[1]))
    return {
        "import_to_first_result": spread(imported[1:]),
        "process_start_to_end": spread(whole[1:]),
        "peak_rss_mib": round(max(peaks)),
    }


def print_networks(figures: dict[str, Figures]) -> None:
    for name, own in figures.items():
        print(f"  {name:42s} {own['median_ms']:8.2f} ms   min {own['min_ms']:8.2f}   max {own['max_ms']:8.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prototypes", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--keep", type=Path, help="folder for run and bundles, to be used again")
    parser.add_argument("--only", default="network,steps,folder,fresh")
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, cores)
    torch.set_num_threads(2)
    torch.manual_seed(0)
    wanted = arguments.only.split(",")
    changes = dict(item.split("=", 1) for item in arguments.overrides)
    settings = load("standard", changes | {"model.weights": "random"}).model
    network = build_network(settings, (SIDE, SIDE), arguments.prototypes, arguments.prototypes).eval()
    figures: Figures = {"prototypes": arguments.prototypes, "rounds": arguments.rounds, "settings": changes}
    if arguments.peers:
        figures["peers"] = json.loads((arguments.peers / "versions.json").read_text())
    load_before = os.getloadavg()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        ours = bundles(arguments.keep or home, arguments.prototypes, changes)
        if "network" in wanted:
            for batch, divisor in BATCHES.items():
                calls = networks(home, ours, arguments.peers, network, batch)
                found = in_turns(calls, max(3, arguments.rounds // divisor))
                del calls
                figures[f"batch_{batch}"] = {"networks": found, "ratios": ratios(found)}
                print(f"batch {batch}")
                print_networks(found)
                print("\n".join(f"  {name}: {value}" for name, value in ratios(found).items()))
        for runtime, name in (("openvino", "openvino_bf16"), ("onnxruntime", "onnx_f32")):
            if "steps" in wanted:
                figures[f"steps_{name}"] = steps(ours[name], runtime, arguments.rounds)
                print(f"photo of {PHOTO} x {PHOTO} to regions, {name}", figures[f"steps_{name}"])
            if "fresh" in wanted:
                figures[f"fresh_{name}"] = fresh(home, ours[name], runtime)
                print(f"fresh process, {name}", figures[f"fresh_{name}"])
        if "folder" in wanted:
            figures["folder_openvino_bf16"] = folder(home, ours["openvino_bf16"])
            print("folder", figures["folder_openvino_bf16"])
    loads = {"before": round(load_before[0], 2), "after": round(os.getloadavg()[0], 2)}
    if set(wanted) == {"network", "steps", "folder", "fresh"}:
        write("speed", figures, seed=0, pinned_to=len(cores), load_average=loads)
