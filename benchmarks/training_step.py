"""Training throughput of a preset, data included, and what the step's parts cost.

    python benchmarks/training_step.py [--preset standard] [--data ../shared/data/mvtec_ad/grid] [--steps 30]

Times whole optimiser steps (batches made in this process, backbone, head, backward, AdamW, averaging) on the real
images, then each part of a step in turn.
"""

import argparse
import os
import statistics
import time
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "3000")

import torch
from common import SHARED, write
from torch.utils.flop_counter import FlopCounterMode

from protores import presets
from protores.model.losses import segmentation_loss
from protores.model.network import build_network
from protores.model.prototypes import number_of_prototypes
from protores.product import open_product
from protores.progress import Progress
from protores.synthesis.synthesizer import Synthesizer
from protores.training.features import extract_features
from protores.training.fit import one_blas_thread, prepare_torch, use_bf16
from protores.training.loader import Batches
from protores.training.module import PRNTraining
from protores.training.schedule import Schedule

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--preset", default="standard")
parser.add_argument("--data", type=Path, default=SHARED / "data/mvtec_ad/grid")
parser.add_argument("--weights", default=str(SHARED / "weights/resnet18_tv_in1k_to_layer3.safetensors"))
parser.add_argument("--steps", type=int, default=30)
parser.add_argument("--set", action="append", default=[], dest="overrides")
arguments = parser.parse_args()

overrides = dict(item.split("=", 1) for item in arguments.overrides)
settings = presets.load(
    arguments.preset, {"data.root": arguments.data, "model.weights": arguments.weights, **overrides}
)
prepare_torch(settings.training, 0)
product, settings = open_product(settings, False, Progress())
good, seen = product.role("train"), product.role("seen")
textures = SHARED / "data/dtd/images"
synthesizer = Synthesizer(good.images, seen.images, seen.masks, textures, settings.synthesis, 0)
k = number_of_prototypes(len(good), settings.model.prototype_share, settings.model.prototype_cap)
network = build_network(settings.model, settings.data.size, len(good), k)
network.to(memory_format=torch.channels_last)
bf16 = use_bf16(settings.training)
features = extract_features(network.backbone, good.images, bf16, Path("."))
network.residuals.prototypes.fit(features, 0)
batches = Batches(good.images, seen.images, seen.masks, synthesizer, settings.training, 0)
training = PRNTraining(network, settings.training, Schedule(settings.training), features, True)
network.train()
parts: dict[str, list[float]] = {}


class timed:
    def __init__(self, name: str):
        self.name = name

    def __enter__(self) -> None:
        self.start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        parts.setdefault(self.name, []).append(time.perf_counter() - self.start)


def step(number: int) -> None:
    with timed("batch: synthesis and loading"):
        batch = batches[number]
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=bf16)
    with timed("backbone"), autocast:
        stem = network.backbone.stem(batch.images.permute(0, 3, 1, 2).float() / 255)
        changed = network.backbone.body(stem[batch.normal :])
        maps = [torch.cat([m[batch.source[: batch.normal]], c]) for m, c in zip(features, changed, strict=True)]
    with timed("head, forward"), autocast:
        logits = network.head(stem, maps, settings.data.size, batch.source)
    with timed("loss"):
        loss = segmentation_loss(logits, batch.masks.float()).total(settings.training.dice)
    with timed("head, backward"):
        loss.backward()
    with timed("clip, optimiser, averaging"):
        torch.nn.utils.clip_grad_norm_(network.parameters(), settings.training.clip)
        training.optimizer.step()
        training.optimizer.zero_grad()
        training.averaged.update()


with one_blas_thread():
    step(0)
    parts.clear()
    whole = []
    for number in range(1, arguments.steps + 1):
        start = time.perf_counter()
        step(number)
        whole.append(time.perf_counter() - start)

network.eval()
with torch.no_grad(), FlopCounterMode(display=False) as counter:
    network(torch.zeros(1, 3, *settings.data.size))
figures = {
    "images_per_second": round(settings.training.batch_size / statistics.median(whole), 1),
    "images_per_second_best": round(settings.training.batch_size / min(whole), 1),
    "step_ms": round(1e3 * statistics.median(whole), 1),
    "parts_ms": {name: round(1e3 * statistics.median(times), 1) for name, times in parts.items()},
    "trained_parameters": sum(p.numel() for p in network.parameters() if p.requires_grad),
    "gflop_per_image_forward": round(counter.get_total_flops() / 1e9, 2),
    "precision": "bf16" if bf16 else "f32",
    "batch_size": settings.training.batch_size,
}
for name, value in figures.items():
    print(name, value)
write(f"training_step_{arguments.preset}", figures, seed=0)
