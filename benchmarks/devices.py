"""One training by one and by two processes of a thread each: images a second in its three parts, in turns.

    python benchmarks/devices.py [--data ../shared/data/mvtec_ad/grid] [--rounds 3] [--steps 10]

writes devices.json and the table in docs/scale.md.

Each round starts a training with one process and one with two, as `protores train --devices` does, and takes the time
of features (backbone over all good images), of the median training step (batches made, backbone, head, backward,
gradients summed up between processes) and of judging the test images (maps gathered, figures computed).
`one_again` is a second training with one process in every round: what its ratio to the first is off 1 is noise.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "3000")

from common import ROOT, SHARED, write

from protores import presets
from protores.data.layouts import TEST
from protores.judgement import judge
from protores.model.network import build_network
from protores.model.prototypes import number_of_prototypes
from protores.product import open_product
from protores.progress import Progress
from protores.synthesis.synthesizer import Synthesizer
from protores.training.features import extract_features
from protores.training.fit import fit, prepare_torch, use_bf16
from protores.training.group import processes
from protores.training.loader import Batches
from protores.training.module import PRNTraining

PARTS = ("features", "training", "judging")
WAYS = {"one": 1, "two": 2, "one_again": 1}
NAMES = {"one": "one process", "two": "two processes", "one_again": "one process again"}


def measure(data: Path, devices: int, steps: int, folder: Path) -> dict[str, float]:
    """Images a second in each part, in this process of `devices`."""
    settings = presets.load(
        "standard",
        {
            "data.root": data,
            "model.weights": str(SHARED / "weights/resnet18_tv_in1k_to_layer3.safetensors"),
            "training.steps": steps,
            "training.threads": 1,
            "training.devices": devices,
        },
    )
    begins: list[float] = []
    begin = PRNTraining.on_train_batch_start

    def timed(*args: Any) -> None:
        begins.append(time.perf_counter())
        begin(*args)

    PRNTraining.on_train_batch_start = timed
    with processes(devices, 1) as group:
        prepare_torch(settings.training, 0)
        product, settings = open_product(settings, False, Progress())
        good, seen, test = product.role("train"), product.role("seen"), product.role(TEST)
        synthesizer = Synthesizer(good.images, seen.images, seen.counting_masks, None, settings.synthesis, 0)
        k = number_of_prototypes(len(good), settings.model.prototype_share, settings.model.prototype_cap)
        network = build_network(settings.model, settings.data.size, len(good), k)
        at = time.perf_counter()
        features = extract_features(network.backbone, good.images, use_bf16(settings.training), folder, group=group)
        rates = {"features": len(good) / (time.perf_counter() - at)}
        residuals = network.residuals
        group.fill(residuals, lambda: residuals.fit(features, 0, settings.model.prototype_images))
        fit(
            network,
            Batches(
                good.images,
                seen.images,
                seen.masks,
                synthesizer,
                settings.training,
                0,
                process=group.rank,
                processes=group.size,
            ),
            features,
            settings.training,
            leave_one_out=True,
            checkpoint=folder / "checkpoint.safetensors",
            history=folder / "history.csv",
            validate=lambda: {},
            progress=Progress(),
            group=group,
        )
        step = statistics.median(after - before for before, after in zip(begins[1:], begins[2:], strict=False))
        rates["training"] = settings.training.batch_size / step
        at = time.perf_counter()
        judge(network, test, settings, product.seen_kinds, group=group)
        rates["judging"] = len(test) / (time.perf_counter() - at)
        if group.is_first:
            (folder / "rates.json").write_text(json.dumps(rates))
    return rates


def run(data: Path, devices: int, steps: int) -> dict[str, float]:
    """The same in new processes."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--data", data, "--devices", devices, "--steps", steps, "--folder", folder]
        subprocess.run(list(map(str, command)), check=True)
        return json.loads((Path(folder) / "rates.json").read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=SHARED / "data/mvtec_ad/grid")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--devices", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.devices is not None:
        measure(asked.data, asked.devices, asked.steps, asked.folder)
        return
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    load = os.getloadavg()[0]
    for _ in range(asked.rounds):
        for way, devices in WAYS.items():
            found[way].append(run(asked.data, devices, asked.steps))
            print(way, found[way][-1], flush=True)
    figures: dict[str, Any] = {"images_per_second": {}, "ratio_to_one": {}}
    for way, rounds in found.items():
        figures["images_per_second"][way] = {part: round(_median(rounds, part), 2) for part in PARTS}
        ratios = [
            {part: after[part] / before[part] for part in PARTS}
            for before, after in zip(found["one"], rounds, strict=True)
        ]
        figures["ratio_to_one"][way] = {part: round(_median(ratios, part), 2) for part in PARTS}
    print(json.dumps(figures, indent=2))
    path = write(
        "devices",
        figures,
        seed=0,
        rounds=asked.rounds,
        steps=asked.steps,
        load_average=[round(load, 2), round(os.getloadavg()[0], 2)],
    )
    fill_page(ROOT / "docs/scale.md", json.loads(path.read_text()))


def fill_page(path: Path, record: dict[str, Any]) -> None:
    """Puts the table between <!-- devices --> and <!-- /devices --> of the page."""
    figures, load = record["figures"], record["load_average"]
    lines = ["| images/s | features | training | judging |", "|---|---:|---:|---:|"]
    for way, name in NAMES.items():
        lines.append(f"| {name} | " + " | ".join(f"{figures['images_per_second'][way][p]:.1f}" for p in PARTS) + " |")
    for way in ("two", "one_again"):
        ratios = (f"{figures['ratio_to_one'][way][part]:.2f}" for part in PARTS)
        lines.append(f"| {NAMES[way]} / one | " + " | ".join(ratios) + " |")
    hardware = record["hardware"]
    where = f"{hardware['cpu']}, {hardware['cores']} cores, torch {hardware['versions']['torch']}"
    lines += ["", f"{where}; median of {record['rounds']} rounds; load average {load[0]} before, {load[1]} after."]
    before, _, rest = path.read_text().partition("<!-- devices -->")
    _, _, after = rest.partition("<!-- /devices -->")
    path.write_text(before + "<!-- devices -->\n" + "\n".join(lines) + "\n<!-- /devices -->" + after)


def _median(rounds: list[dict[str, float]], part: str) -> float:
    return statistics.median(one[part] for one in rounds)


if __name__ == "__main__":
    main()
