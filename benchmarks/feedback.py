"""What corrections from the line are worth: the toy product trained without and with a feedback folder (`--add`).

    python benchmarks/feedback.py [--size 128] [--steps 200] [--corrected 6] [--good 100] [--seeds 0,1] [--keep DIR]

A line changes after training: good boards come with an inspector's stamp, bad ones with faint smears. Of either the old
model gets POOL images, and those that it was most wrong about are corrected, as at the station. Judged are these, HELD
stamped and smeared boards that nobody corrected, and the test set of the old training. The models:

    old     before the corrections
    again   from the old one without corrections (`--from`): what going on does by itself
    from    from the old one with the corrections (`--from --add`)
    whole   the same with the weights as training left them, no part of the old ones (training.warm_share=1)
    anew    trained from the beginning with the corrections (`--add` alone)

The backbone is pre-trained. Rows are added to benchmarks/results/feedback.json in the place of those of the same seed.
With --keep the runs stay in DIR, and those that are there are not trained again.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "3000")

import cv2
import numpy as np
from common import RESULTS, SHARED, write
from numpy.typing import NDArray

from protores import toy, workflow
from protores.data.image import encode_mask
from protores.data.sample import GOOD
from protores.judgement import judge
from protores.product import Images
from protores.run import Run
from protores.toy.drift import draw_smeared, draw_stamped

POOL, HELD = 24, 40
MODELS = ("old", "again", "from", "whole", "anew")
FIGURES = ("image_auroc", "pixel_auroc", "pixel_ap")


def pictures(seed: int, size: int, first: int, count: int) -> Images:
    """`count` stamped and `count` smeared boards, each with a generator of its own."""
    good = [draw_stamped(np.random.default_rng([seed, 90, first + k]), size) for k in range(count)]
    bad = [draw_smeared(np.random.default_rng([seed, 91, first + k]), size) for k in range(count)]
    return Images(
        images=np.stack([*good, *(image for image, _ in bad)]),
        masks=np.stack([*(np.zeros((size, size), np.uint8) for _ in good), *(mask for _, mask in bad)]),
        has_mask=np.repeat([False, True], count),
        valid=None,
        kinds=(GOOD,) * count + ("smear",) * count,
        paths=tuple(Path(f"{k}.png") for k in range(2 * count)),
    )


def most_wrong(run: Path, pool: Images, count: int) -> Images:
    """The `count` worst false alarms and misses of a run among the pool."""
    good = np.array(pool.kinds) == GOOD
    scores = judged(run, pool)[1]
    alarms = np.flatnonzero(good)[np.argsort(-scores[good], kind="stable")[:count]]
    misses = np.flatnonzero(~good)[np.argsort(scores[~good], kind="stable")[:count]]
    chosen = [*alarms, *misses]
    return Images(
        images=pool.images[chosen],
        masks=pool.masks[chosen],
        has_mask=pool.has_mask[chosen],
        valid=None,
        kinds=tuple(pool.kinds[k] for k in chosen),
        paths=tuple(pool.paths[k] for k in chosen),
    )


def export(images: Images, into: Path) -> None:
    """Corrected images as the station writes them."""
    for image, mask, kind, path in zip(images.images, images.masks, images.kinds, images.paths, strict=True):
        encoded = cv2.imencode(".png", image[..., ::-1])[1].tobytes()
        _save(into / ("good" if kind == GOOD else f"bad/{kind}") / path.name, encoded)
        if kind != GOOD:
            _save(into / "masks" / kind / path.name, encode_mask(mask))


def judged(run: Path, images: Images) -> tuple[dict[str, float | None], NDArray[np.float32]]:
    """Figures and scores."""
    settings = Run(run).read_settings()
    judgement = judge(Run(run).load_network(settings), images, settings, set())
    return _few(judgement.figures.to_dict()), judgement.scores


def _few(figures: dict[str, Any]) -> dict[str, float | None]:
    return {name: None if figures[name] is None else round(figures[name], 4) for name in FIGURES}


def _save(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def compare(seed: int, asked: argparse.Namespace, overrides: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """A row for each model."""
    data, feedback, old = folder / "board", folder / "feedback", folder / "old"
    if not old.exists():
        toy.draw(data, good=asked.good, test_good=40, defects_per_kind=12, size=asked.size, seed=seed)
    pool, line = (pictures(seed, asked.size, *part) for part in ((0, POOL), (POOL, HELD)))
    new, warm = {**overrides, "seed": seed}, {"training.warm_start": old}
    changes = {
        "old": new,
        "again": warm,
        "from": {**warm, "data.add": (feedback,)},
        "whole": {**warm, "data.add": (feedback,), "training.warm_share": 1.0},
        "anew": {**new, "data.add": (feedback,)},
    }
    rows = []
    for name in asked.models.split(","):
        run = folder / name
        if not Run(run).is_complete:
            preset = None if "training.warm_start" in changes[name] else "quick"
            workflow.train(data, run, preset, changes[name], resume=run.exists())
        corrected = most_wrong(old, pool, asked.corrected)
        export(corrected, feedback)
        rows.append(
            {
                "seed": seed,
                "model": name,
                "steps": Run(run).read_metrics()["steps"],
                "old_test": _few(Run(run).read_metrics()),
                "corrected": judged(run, corrected)[0],
                "line": judged(run, line)[0],
            }
        )
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--good", type=int, default=100)
    parser.add_argument("--corrected", type=int, default=6)
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args()
    overrides = {
        "model.weights": str(SHARED / "weights/resnet18_tv_in1k_to_layer3.safetensors"),
        "data.size": (asked.size, asked.size),
        "training.steps": asked.steps,
        "training.minutes": None,
        "training.threads": asked.threads,
        "training.validate_every": 10_000,
    }
    path = RESULTS / "feedback.json"
    rows = json.loads(path.read_text())["figures"]["runs"] if path.exists() else []
    for seed in map(int, asked.seeds.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            new = compare(seed, asked, overrides, asked.keep / str(seed) if asked.keep else Path(folder))
        rows = [row for row in rows if (row["seed"], row["model"]) not in {(seed, one["model"]) for one in new}] + new
        rows.sort(key=lambda row: (row["seed"], MODELS.index(row["model"])))
        write("feedback", {"runs": rows}, size=asked.size, good=asked.good, corrected=asked.corrected)


if __name__ == "__main__":
    main()
