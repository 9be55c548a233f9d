"""Accuracy, time and peak memory of a preset on the real images beside the project, one process a run.

    python benchmarks/quick.py [--preset quick] [--only grid,dagm] [--seen 10,0] [--seed 0] [--readme]

Each run is `protores train` as a user would type it, judged on its own test images: averaged weights of the last
step, seen defects out of the test set. Figures go to benchmarks/results/PRESET_accuracy.json, a run at a time, so
that an interrupted benchmark goes on where it was; --readme writes them into README.md's table.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import RESULTS, ROOT, SHARED, write

PRODUCTS = {"grid": "mvtec_ad/grid", "magnetic_tile": "magnetic_tile", "dagm_class1": "dagm/Class1"}
FIGURES = ("image_auroc", "pixel_auroc", "pro", "pixel_ap")


def run(preset: str, product: str, seen: int, seed: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [
            *(sys.executable, "-m", "protores.cli", "train", str(SHARED / "data" / PRODUCTS[product])),
            *("--out", str(out), "--preset", preset, "--seen", str(seen), "--seed", str(seed)),
            *("--weights", str(SHARED / "weights/resnet18_tv_in1k_to_layer3.safetensors")),
            *("--textures", str(SHARED / "data/dtd/images")),
        ]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
        start = time.monotonic()
        child = subprocess.Popen(command, env=environment)
        _, status, usage = os.wait4(child.pid, 0)
        if status:
            raise SystemExit(f"{product} with {seen} seen failed")
        metrics = json.loads((out / "metrics.json").read_text())
    return {
        "product": product,
        "seen": seen,
        "seed": seed,
        **{
            name: metrics[name]
            for name in ("image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "pro", "pixel_f1_max")
        },
        "kinds": metrics["kinds"],
        "test_images": metrics["counts"]["images"],
        "steps": metrics["steps"],
        "training_seconds": metrics["seconds"]["training"],
        "wall_seconds": round(time.monotonic() - start, 1),
        "images_per_second": metrics["images_per_second"],
        "peak_memory_gb": round(usage.ru_maxrss / 1e6, 2),
    }


def readme(preset: str, rows: list[dict]) -> None:
    """Puts the table between the markers of README.md."""
    lines = [
        f"`protores train` with `--preset {preset}`, seed {rows[0]['seed']}, on 2 CPU cores; percent; averaged weights",
        "of the last step, seen defects out of the test set. `benchmarks/quick.py` made it, "
        f"`benchmarks/results/{preset}_accuracy.json` has the rest.",
        "",
        "| product | seen | image AUROC | pixel AUROC | PRO | pixel AP | steps | training, s | peak memory, GB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        shown = " | ".join("-" if row[name] is None else f"{100 * row[name]:.1f}" for name in FIGURES)
        lines.append(
            f"| {row['product']} | {row['seen']} | {shown} | {row['steps']} | {row['training_seconds']:.0f} "
            f"| {row['peak_memory_gb']} |"
        )
    path = ROOT / "README.md"
    before, _, rest = path.read_text().partition("<!-- results -->")
    _, _, after = rest.partition("<!-- /results -->")
    path.write_text(before + "<!-- results -->\n" + "\n".join(lines) + "\n<!-- /results -->" + after)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--only", default=",".join(PRODUCTS))
    parser.add_argument("--seen", default="10,0")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--readme", action="store_true")
    arguments = parser.parse_args()
    name = f"{arguments.preset}_accuracy"
    path = RESULTS / f"{name}.json"
    rows = json.loads(path.read_text())["figures"]["runs"] if path.exists() else []
    for seen in map(int, arguments.seen.split(",")):
        for product in arguments.only.split(","):
            if any((r["product"], r["seen"], r["seed"]) == (product, seen, arguments.seed) for r in rows):
                continue
            rows.append(run(arguments.preset, product, seen, arguments.seed))
            print({k: v for k, v in rows[-1].items() if k != "kinds"}, flush=True)
            rows.sort(key=lambda r: (list(PRODUCTS).index(r["product"]), -r["seen"], r["seed"]))
            write(name, {"runs": rows}, seed=arguments.seed)
    if arguments.readme:
        readme(arguments.preset, rows)


if __name__ == "__main__":
    main()
