"""Defects planted among the good images of grid: where a short training ranks them, with and without leave-one-out.

    python benchmarks/suspects.py --work FOLDER      # minutes; goes on where it was cut off

80 good training images and one defect image of each kind beside them, as if they were good; quick at 128 x 128 pixels,
250 steps, 8 seen defects. Results: benchmarks/results/suspects.json.
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from common import SHARED, write

from protores import workflow
from protores.data.image import probe_bit_depth
from protores.data.layouts import TRAIN, recognise
from protores.data.store import ImageStore
from protores.model.prototypes import NO_SOURCE
from protores.progress import Progress
from protores.run import Run
from protores.suspects import FAR, leave_one_out_scores, outlyingness, sources_of

GRID = SHARED / "data" / "mvtec_ad" / "grid"
WEIGHTS = SHARED / "weights" / "resnet18_tv_in1k_to_layer3.safetensors"
KINDS = ("bent", "broken", "glue", "metal_contamination", "thread")
GOOD, PICKED, SEED = 80, "003", 0


def planted(root: Path) -> Path:
    """The product with a defect of each kind among its good images."""
    good = root / "train" / "good"
    good.mkdir(parents=True)
    for path in sorted((GRID / "train" / "good").iterdir())[:GOOD]:
        shutil.copy(path, good)
    shutil.copytree(GRID / "test", root / "test")
    shutil.copytree(GRID / "ground_truth", root / "ground_truth")
    for kind in KINDS:
        (root / "test" / kind / f"{PICKED}.png").rename(good / f"planted_{kind}.png")
        (root / "ground_truth" / kind / f"{PICKED}_mask.png").unlink()
    return root


def ranks(names: list[str], far: np.ndarray) -> dict[str, Any]:
    order = list(np.argsort(-far, kind="stable"))
    own = {kind: names.index(f"planted_{kind}") for kind in KINDS}
    others = np.delete(far, list(own.values()))
    return {
        "rank, from 1": {kind: order.index(place) + 1 for kind, place in own.items()},
        "robust deviations": {kind: round(float(far[place]), 1) for kind, place in own.items()},
        "good images beyond the bar": int((others > FAR).sum()),
        "highest of the good": round(float(others.max()), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=Path, required=True)
    work = parser.parse_args().work
    root = work / "grid" if (work / "grid").exists() else planted(work / "grid")
    changes = {
        "model.weights": str(WEIGHTS),
        "data.size": (128, 128),
        "training.steps": 250,
        "training.minutes": None,
        "split.seen": 8,
        "seed": SEED,
    }
    figures = workflow.train(root, work / "run", "quick", changes, resume=True)
    run = Run(work / "run")
    settings, split = run.read_settings(), run.read_split()
    dataset = recognise(root)
    good = [sample for sample in dataset.samples if sample.is_good and sample.part == TRAIN]
    depth = settings.data.bit_depth or probe_bit_depth([sample.path for sample in good])
    store = ImageStore.build(good, settings.data.size, False, depth)
    sources = sources_of(store.records, split)
    names = [record.sample.path.stem for record in store.records]
    network, top = run.load_network(settings), settings.model.score_top
    found: dict[str, Any] = {"image AUROC": figures.image_auroc, "good images": len(good) - len(KINDS), "bar": FAR}
    for way, own in (("leave-one-out", sources), ("as it is", np.full_like(sources, NO_SOURCE))):
        found[way] = ranks(names, outlyingness(leave_one_out_scores(network, store, own, top, Progress())))
    print(write("suspects", found, seed=SEED))


if __name__ == "__main__":
    main()
