"""What corrections from the line are worth: the toy product trained without and with a feedback folder (`--add`).

    python benchmarks/feedback.py [--size 128] [--steps 200] [--corrected 6] [--good 100] [--seeds 0,1]

A line changes after training: good boards come with an inspector's stamp, bad ones with faint smears. Of either the old
model gets POOL images, and those that it was most wrong about are corrected, as at the station. Judged are HELD stamped
and smeared boards that nobody corrected, and the test set of the old training. "again" is the old training with a
learning rate 1 % higher: what retraining does by itself. The backbone is pre-trained. Rows are added to
benchmarks/results/feedback.json.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

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


def correct(run: Path, pool: Images, corrected: int, into: Path) -> None:
    """The worst false alarms and misses of a run among the pool as the station exports them."""
    scores = scores_of(run, pool)
    good = np.array([kind == GOOD for kind in pool.kinds])
    alarms = np.flatnonzero(good)[np.argsort(-scores[good])[:corrected]]
    misses = np.flatnonzero(~good)[np.argsort(scores[~good])[:corrected]]
    for index in alarms:
        _save(into / "good" / f"{index:03}.png", cv2.imencode(".png", pool.images[index][..., ::-1])[1].tobytes())
    for index in misses:
        encoded = cv2.imencode(".png", pool.images[index][..., ::-1])[1].tobytes()
        _save(into / "bad" / "smear" / f"{index:03}.png", encoded)
        _save(into / "masks" / "smear" / f"{index:03}.png", encode_mask(pool.masks[index]))


def scores_of(run: Path, images: Images) -> NDArray[np.float32]:
    settings = Run(run).read_settings()
    return judge(Run(run).load_network(settings), images, settings, set()).scores


def figures_of(run: Path, images: Images) -> dict[str, float | None]:
    settings = Run(run).read_settings()
    return _few(judge(Run(run).load_network(settings), images, settings, set()).figures)


def _few(figures: object) -> dict[str, float | None]:
    return {name: round(getattr(figures, name), 4) for name in ("image_auroc", "pixel_ap")}


def _save(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def compare(
    seed: int, size: int, good: int, corrected: int, overrides: dict[str, object], folder: Path
) -> list[dict[str, object]]:
    """A row for the old model, one for the same training again, and one with the corrections."""
    data = toy.draw(folder / "board", good=good, test_good=40, defects_per_kind=12, size=size, seed=seed)
    held = pictures(seed, size, POOL, HELD)
    rows: list[dict[str, object]] = []

    def train(name: str, **changes: object) -> Path:
        out = folder / name
        changed = {key.replace("__", "."): value for key, value in changes.items()}
        figures = workflow.train(data, out, "quick", {**overrides, "seed": seed, **changed})
        row = {"seed": seed, "size": size, "good": good, "corrected": corrected, "model": name}
        rows.append({**row, "old_test": _few(figures), "line": figures_of(out, held)})
        print(rows[-1], flush=True)
        return out

    old = train("old")
    train("again", training__learning_rate=1.01e-3)
    correct(old, pictures(seed, size, 0, POOL), corrected, folder / "feedback")
    train("added", data__add=(folder / "feedback",))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--good", type=int, default=100)
    parser.add_argument("--corrected", type=int, default=6)
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    overrides = {
        "model.weights": str(SHARED / "weights/resnet18_tv_in1k_to_layer3.safetensors"),
        "data.size": (arguments.size, arguments.size),
        "training.steps": arguments.steps,
        "training.minutes": None,
        "training.threads": arguments.threads,
    }
    path = RESULTS / "feedback.json"
    rows = json.loads(path.read_text())["figures"]["runs"] if path.exists() else []
    for seed in map(int, arguments.seeds.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            rows += compare(seed, arguments.size, arguments.good, arguments.corrected, overrides, Path(folder))
            write("feedback", {"runs": rows}, steps=arguments.steps, threads=arguments.threads)


if __name__ == "__main__":
    main()
