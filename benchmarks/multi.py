"""One model for several products against one model each: grid, magnetic_tile and dagm Class1, 10 seen, reduced.

    python benchmarks/multi.py --out FOLDER [--only NAME,...]

`standard` at 128 x 128, seed 0, one thread. NAME: a product alone (grid, magnetic_tile, Class1), which takes STEPS
steps; the model of all three, with as many steps for each product (equal_each) or no more in all (equal_total). What
FOLDER holds is not trained again; benchmarks/results/multi.json and the tables of docs/scale.md are written once all
are there. How products are recognised, and what is taken for an unknown one, is measured on the model of equal_each.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import ROOT, SHARED, write

from protores import workflow
from protores.data.image import network_input
from protores.files import write_json
from protores.model.network import PRN
from protores.model.products import ProductResiduals
from protores.products import Products, open_data, product_folders
from protores.progress import Progress
from protores.run import Run

DATA = SHARED / "data"
FOLDERS = (DATA / "mvtec_ad" / "grid", DATA / "magnetic_tile", DATA / "dagm" / "Class1")
STEPS, SEEN, SIDE = 150, 10, 128
FACTORS = (1, 1.25, 1.5, 2)
"""Of a product's farthest calibration image, for what is farther to be of an unknown product."""
FIGURES = ("image_auroc", "pixel_auroc", "pro", "pixel_ap")
VARIANTS: dict[str, tuple[tuple[Path, ...], int]] = {
    **{folder.name: ((folder,), STEPS) for folder in FOLDERS},
    "equal_each": (FOLDERS, STEPS * len(FOLDERS)),
    "equal_total": (FOLDERS, STEPS),
}
OVERRIDES = {
    "data.size": (SIDE, SIDE),
    "data.cache": "none",
    "split.seen": SEEN,
    "seed": 0,
    "model.weights": str(SHARED / "weights" / "resnet18_tv_in1k_to_layer3.safetensors"),
    "synthesis.textures": str(DATA / "dtd" / "images"),
    "training.threads": 1,
    "training.validate_every": 1000,
}


def train(name: str, out: Path) -> None:
    """Trains a variant and keeps its figures beside the run."""
    folders, steps = VARIANTS[name]
    run, began = Run(out / name), time.process_time()
    data = folders[0].resolve() if len(folders) == 1 else product_folders(folders)
    workflow.train(data, run.path, "standard", {**OVERRIDES, "training.steps": steps}, resume=True)
    metrics = run.read_metrics()
    network = run.load_network(run.read_settings())
    products = metrics.get("products", {folders[0].name: metrics})
    facts = {
        "products": {name: {key: own[key] for key in FIGURES} for name, own in products.items()},
        "recognised": metrics.get("recognised"),
        "steps": metrics["steps"],
        "cpu_seconds": round(time.process_time() - began),
        "trained_parameters": sum(p.numel() for p in network.parameters() if p.requires_grad),
        "model_mb": round(run.model.stat().st_size / 1e6, 1),
    }
    write_json(out / f"{name}.json", facts)


def recognition(run: Run) -> dict[str, Any]:
    """By product: its test images' share that each rule takes for it, how far they lie, and what a model that does not
    know the product would make of them."""
    settings = run.read_settings()
    products, _ = open_data(settings, True, Progress())
    assert isinstance(products, Products)
    network = run.load_network(settings)
    tests = [_distances(network, part.role("test").images) for part in products.parts]
    kept = [_distances(network, part.role("calibration").images) for part in products.parts]
    farthest = np.array([own[:, place].mean(1).max() for place, own in enumerate(kept)])
    found = {}
    for place, (part, far) in enumerate(zip(products.parts, tests, strict=True)):
        others = [other for other in range(len(tests)) if other != place]
        joined, without = far.mean(2), far.mean(2)[:, others]
        nearest = np.take(farthest, others)[without.argmin(1)]
        found[part.name] = {
            "images": len(far),
            "by_mean_of_scales": float((joined.argmin(1) == place).mean()),
            "by_scale": [float((far[..., s].argmin(1) == place).mean()) for s in range(far.shape[2])],
            "own_distance": [float(q) for q in np.quantile(joined[:, place], (0, 0.5, 1))],
            "least_margin": float((without.min(1) / joined[:, place]).min()),
            "farthest_of_calibration": float(farthest[place]),
            "beyond_farthest": {
                str(factor): float((joined.min(1) > factor * farthest[joined.argmin(1)]).mean()) for factor in FACTORS
            },
            "beyond_farthest_if_not_known": {
                str(factor): float((without.min(1) > factor * nearest).mean()) for factor in FACTORS
            },
        }
    return found


@torch.inference_mode()
def _distances(network: PRN, images: Any) -> np.ndarray:
    """N x products x scales, in the units of ProductResiduals.distances."""
    residuals = network.residuals
    assert isinstance(residuals, ProductResiduals)
    found = []
    for start in range(0, len(images), 32):
        features = network.backbone(torch.from_numpy(network_input(images[start : start + 32])))
        found.append(torch.stack([p.distances(features) for p in residuals.prototypes], 1) / residuals.usual)
    return torch.cat(found).numpy()


def fill_page(path: Path, record: dict[str, Any]) -> None:
    """Puts the tables between <!-- multi --> and <!-- /multi --> of the page."""
    text = "\n".join([*_models(record["figures"]), "", *_recognition(record["figures"]["recognition"])])
    before, _, rest = path.read_text().partition("<!-- multi -->")
    _, _, after = rest.partition("<!-- /multi -->")
    path.write_text(f"{before}<!-- multi -->\n{text}\n<!-- /multi -->{after}")


def _models(figures: dict[str, Any]) -> list[str]:
    names = [folder.name for folder in FOLDERS]
    each, equal_each, equal_total = [figures[name] for name in names], figures["equal_each"], figures["equal_total"]
    lines = [
        "| image AUROC / pixel AUROC / PRO / pixel AP | one model each | one, 450 steps | one, 150 steps |",
        "|---|---|---|---|",
    ]
    models = [
        {name: own["products"][name] for name, own in zip(names, each, strict=True)},
        equal_each["products"],
        equal_total["products"],
    ]
    for name in names:
        lines.append(f"| {name} | {' | '.join(_shown([model[name][key] for key in FIGURES]) for model in models)} |")
    means = [[float(np.mean([own[key] for own in model.values()])) for key in FIGURES] for model in models]
    lines.append(f"| mean | {' | '.join(map(_shown, means))} |")
    for title, key, unit in (
        ("trained parameters, millions", "trained_parameters", 1e6),
        ("size, MB", "model_mb", 1),
        ("CPU seconds, reading to judging", "cpu_seconds", 1),
    ):
        numbers = sum(own[key] for own in each), equal_each[key], equal_total[key]
        lines.append(f"| {title} | {' | '.join(f'{number / unit:.3g}' for number in numbers)} |")
    return lines


def _recognition(products: dict[str, Any]) -> list[str]:
    lines = [
        "| test images | recognised | by each scale alone, fine to coarse | margin | beyond | beyond, if not known |",
        "|---|---|---|---|---|---|",
    ]
    for name, own in products.items():
        by_scale, margin = _shown(own["by_scale"]), 100 * (own["least_margin"] - 1)
        beyond, foreign = (
            _shown([own[key][factor] for factor in ("1.25", "1.5")])
            for key in ("beyond_farthest", "beyond_farthest_if_not_known")
        )
        recognised = _shown([own["by_mean_of_scales"]])
        lines.append(f"| {own['images']} {name} | {recognised} | {by_scale} | {margin:.0f} | {beyond} | {foreign} |")
    return lines


def _shown(shares: list[float]) -> str:
    return " / ".join(f"{100 * share:.1f}" for share in shares)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default=",".join(VARIANTS))
    arguments = parser.parse_args()
    for name in arguments.only.split(","):
        if not (arguments.out / f"{name}.json").exists():
            train(name, arguments.out)
            print(name, (arguments.out / f"{name}.json").read_text())
    if all((arguments.out / f"{name}.json").exists() for name in VARIANTS):
        torch.set_num_threads(1)
        figures = {name: json.loads((arguments.out / f"{name}.json").read_text()) for name in VARIANTS}
        figures["recognition"] = recognition(Run(arguments.out / "equal_each"))
        path = write("multi", figures, seed=0, steps=STEPS, seen=SEEN, size=SIDE)
        fill_page(ROOT / "docs" / "scale.md", json.loads(path.read_text()))


if __name__ == "__main__":
    main()
