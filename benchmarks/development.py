"""Compares settings without a look at a test image: trains on half of the seen defects, judges on the other half.

    python benchmarks/development.py NAME [--products grid,grid_turned] [--folds 0,1] [--steps 300] [--threads 1]
                                     [--set training.dice=0 ...]

The ten seen defects of seed 0 (they are no test images) are halved; each half in turn trains with the good training
images, and the other half is judged beside the good images of the calibration part. Five defects and two dozen good
images: differences of a few points of AP are noise. grid_turned is grid, each image turned by an angle of its own
(turned.py): no product lies the same way twice.  Runs are added to benchmarks/results/development.json under NAME.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "3000")

import numpy as np
import torch
from common import RESULTS, SHARED, write
from turned import turned

from protores import presets
from protores.data.sample import GOOD
from protores.judgement import judge
from protores.model.network import build_network
from protores.model.prototypes import number_of_prototypes
from protores.product import open_product, select
from protores.progress import Progress
from protores.synthesis.synthesizer import Synthesizer
from protores.training.features import extract_features
from protores.training.fit import fit, prepare_torch, use_bf16
from protores.training.loader import Batches

PRODUCTS = {"grid": "mvtec_ad/grid", "magnetic_tile": "magnetic_tile", "dagm_class1": "dagm/Class1"}
TURNED = "grid_turned"


def run(product_name: str, root: Path, fold: int, overrides: dict[str, str]) -> dict[str, object]:
    settings = presets.load(
        "standard",
        {
            "data.root": root,
            "model.weights": str(SHARED / "weights/resnet18_tv_in1k_to_layer3.safetensors"),
            "split.seen": 10,
            **overrides,
        },
    )
    prepare_torch(settings.training, settings.seed)
    product, settings = open_product(settings, False, Progress())
    indices = product.split.indices("seen")
    by_kind = indices[np.argsort([product.store.records[i].sample.kind for i in indices], kind="stable")]
    calibration = product.split.indices("calibration")
    quiet = [i for i in calibration if product.store.records[i].sample.kind == GOOD]
    seen = select(product.store, by_kind[fold::2])
    judged = select(product.store, np.concatenate([quiet, by_kind[1 - fold :: 2]]))
    good = product.role("train")
    textures = SHARED / "data/dtd/images"
    synthesizer = Synthesizer(good.images, seen.images, seen.masks, textures, settings.synthesis, settings.seed)
    count = number_of_prototypes(len(good), settings.model.prototype_share, settings.model.prototype_cap)
    network = build_network(settings.model, settings.data.size, len(good), count)
    network.to(memory_format=torch.channels_last)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        features = extract_features(network.backbone, good.images, use_bf16(settings.training), Path(folder))
        network.residuals.fit(features, settings.seed)
        batches = Batches(good.images, seen.images, seen.masks, synthesizer, settings.training, settings.seed)
        fit(
            network,
            batches,
            features,
            settings.training,
            leave_one_out=settings.model.leave_one_out,
            checkpoint=Path(folder) / "checkpoint.safetensors",
            history=Path(folder) / "history.csv",
            validate=dict,
            progress=Progress(),
        )
    figures = judge(network, judged, settings, set(seen.kinds)).figures
    return {
        "product": product_name,
        "fold": fold,
        "steps": settings.training.steps,
        **{name: getattr(figures, name) for name in ("image_auroc", "pixel_auroc", "pro", "pixel_ap")},
        "seconds": round(time.monotonic() - start),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("--products", default="grid")
    parser.add_argument("--folds", default="0,1")
    parser.add_argument("--steps", default="300")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    arguments = parser.parse_args()
    asked = dict(item.split("=", 1) for item in arguments.overrides)
    overrides = {"training.steps": arguments.steps, "training.threads": arguments.threads, **asked}
    path = RESULTS / "development.json"
    with tempfile.TemporaryDirectory() as folder:
        for product in arguments.products.split(","):
            if product == TURNED:
                root = turned(SHARED / "data" / PRODUCTS["grid"], Path(folder) / TURNED)
            else:
                root = SHARED / "data" / PRODUCTS[product]
            for fold in map(int, arguments.folds.split(",")):
                row = {"name": arguments.name, "set": asked, **run(product, root, fold, overrides)}
                print(row, flush=True)
                rows = json.loads(path.read_text())["figures"]["runs"] if path.exists() else []
                write("development", {"runs": [*rows, row]}, seed=0)


if __name__ == "__main__":
    main()
