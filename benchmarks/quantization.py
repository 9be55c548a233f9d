"""What INT8 costs and gains, by what stays in float; on the calibration part of a trained run.

    python benchmarks/quantization.py RUN

OpenVINO, one thread, batch 1, fixed shapes, median of rounds in which all take turns. Figures are of the run's good
calibration images and the same with simulated anomalies (and seen defects); deviations are of the maps from torch's.
"""

import logging
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import torch
from common import write

from protores.bundle.convert import INPUT, to_onnx, to_openvino
from protores.bundle.export import Trained, _figures
from protores.bundle.graph import deployed
from protores.bundle.quantize import FLOAT, _stem
from protores.bundle.quiet import import_quietly, openvino_core
from protores.data.image import network_input
from protores.judgement import calibration_images, typical_images
from protores.model.scoring import score_images
from protores.product import open_product
from protores.progress import Progress
from protores.run import Run
from protores.workflow import _synthesizer

ROUNDS = 21


def trained(path: Path) -> Trained:
    run = Run(path)
    settings = run.read_settings()
    product, _ = open_product(settings, True, Progress())
    synthesizer = _synthesizer(product, settings)
    calibration = calibration_images(product, synthesizer, settings.seed)
    kept = {} if calibration is None else {product.name: calibration}
    decisions = {product.name: run.read_decision(settings, product.name)}
    typical = typical_images(product, synthesizer, settings.seed)
    network = run.load_network(settings)
    return Trained(network, settings, run.read_split(), product, kept, typical, decisions)


def main() -> None:
    torch.set_num_threads(1)
    source = trained(Path(sys.argv[1]))
    nncf = import_quietly("nncf")
    nncf.set_log_level(logging.ERROR)
    core = openvino_core()
    good = source.product.role("train").images
    good = good[np.unique(np.linspace(0, len(good) - 1, len(source.typical)).round().astype(int))]
    (images,) = source.pools.values()
    given = network_input(images.images)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(to_onnx(deployed(source.network), source.settings.data.size), path)
        plain = to_openvino(path)
        stem, sums = _stem(plain, "openvino"), [name for name in FLOAT if name not in ("Add", "MatMul", "Gemm")]
        kept = {
            "int8, all but matrix products; good images": ([], ["MatMul"], good),
            "the same; half with anomalies": ([], ["MatMul"], source.typical),
            "int8, convolutions and sums; good images": ([stem], ["MatMul", *sums], good),
            "int8, convolutions; good images": ([stem], FLOAT, good),
            "int8, convolutions; half with anomalies": ([stem], FLOAT, source.typical),
            "the same, the first too": ([], FLOAT, source.typical),
        }
        models = {"f32": (plain, "f32"), "bf16": (to_openvino(path), "bf16")}
        for name, (names, types, ranges) in kept.items():
            scope = nncf.IgnoredScope(names=names, types=types, validate=False)
            data = nncf.Dataset(ranges, lambda image: network_input(image[None]))
            model = nncf.quantize(to_openvino(path), data, subset_size=len(ranges), ignored_scope=scope)
            models[name] = (model, "bf16")
    compiled, times = {}, {name: [] for name in models}
    for name, (model, precision) in models.items():
        model.reshape([1, 3, *source.settings.data.size])
        options = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}
        compiled[name] = core.compile_model(model, "CPU", options)
    for _ in range(ROUNDS):
        for name, network in compiled.items():
            start = time.perf_counter()
            network({INPUT: given[:1]})
            times[name].append(time.perf_counter() - start)
    wanted, _ = score_images(source.network, images.images, source.settings.model.score_top)
    figures = {}
    for name, network in compiled.items():
        maps = np.concatenate([network({INPUT: given[i : i + 1]})[0].copy() for i in range(len(given))])
        off, found = np.abs(maps - wanted), _figures(maps, images, source.settings)
        figures[name] = {
            "milliseconds": round(1000 * statistics.median(times[name]), 1),
            "image_auroc": found.image_auroc,
            "pixel_ap": found.pixel_ap,
            "deviation_largest": round(float(off.max()), 4),
            "deviation_mean": round(float(off.mean()), 6),
        }
        print(name, figures[name])
    write("quantization", figures, images=len(images), calibrated_on=len(source.typical), preset=source.settings.preset)


if __name__ == "__main__":
    main()
