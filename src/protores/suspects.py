"""Defects among the good images: what a first training makes of images that it was told are good.

A network that trained on a defect as good has learnt to call it good, and so have the prototypes it lies in. But one
image among many moves either little, and its own share in the prototypes is taken out (leave-one-out): what the others
taught still speaks. Each good image gets its score so, and those far from all others are worth a look.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from protores.data.findings import SEVERITIES, Findings, Problem
from protores.data.image import network_input
from protores.data.layouts import TRAIN
from protores.data.record import Record
from protores.data.splits import Split
from protores.data.store import ImageStore
from protores.errors import RunError
from protores.judgement import device
from protores.model.context import with_context
from protores.model.network import PRN
from protores.model.prototypes import NO_SOURCE
from protores.model.scoring import image_score
from protores.product import open_cache
from protores.progress import Progress
from protores.run import Run
from protores.training.fit import prepare_torch

FAR = 5.0
"""Robust standard deviations above the median from which an image is a suspect."""
FIRST = 3
"""Images that are named however near they are."""
LEAST_SPREAD = 0.1
"""Of log odds, that is a tenth of the score where scores are small; below it they are as good as equal."""
FEWEST = 8
"""Good images, below which there is no usual one."""
_BATCH = 8


def with_suspects(findings: Findings, path: Path, progress: Progress | None = None) -> Findings:
    """The findings of a data set, and behind them the suspects among its good training images, the farthest first.

    path: a run that trained on it. Raises RunError where there is none, or where it trained on other images.
    """
    progress = progress or Progress()
    run = Run(path)
    settings, split = run.read_settings(), run.read_split()
    network = run.load_network(settings).to(device())
    prepare_torch(settings.training, settings.seed)
    dataset = findings.dataset
    good = [s for s in dataset.samples if s.is_good and (s.part == TRAIN or not dataset.has_test)]
    data = settings.data
    store = ImageStore.build(
        good,
        data.size,
        data.keep_aspect,
        data.bit_depth or 16,
        data.ignore,
        data.roi,
        progress=lambda done, total: progress.track("reading images", done, total),
        cache=open_cache(data),
    )
    sources = sources_of(store.records, split)
    if (sources == NO_SOURCE).all():
        raise RunError(f"{path} trained on no good image of {dataset.root}; pass the run that train made of it")
    far = outlyingness(leave_one_out_scores(network, store, sources, settings.model.score_top, progress))
    ranked = np.argsort(-far, kind="stable")
    suspects = [_problem(store.records[i], far[i]) for rank, i in enumerate(ranked) if far[i] > FAR or rank < FIRST]
    problems = sorted((*findings.problems, *suspects), key=lambda problem: SEVERITIES.index(problem.severity))
    return replace(findings, problems=tuple(problems))


def outlyingness(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """How far above the median each score in [0, 1] lies, by its log odds, in robust standard deviations."""
    if len(scores) < FEWEST:
        return np.zeros(len(scores))
    clipped = np.clip(scores.astype(np.float64), 1e-9, 1 - 1e-9)
    odds = np.log(clipped / (1 - clipped))
    above = odds - np.median(odds)
    return above / max(1.4826 * np.median(np.abs(above)), LEAST_SPREAD)


@torch.inference_mode()
def leave_one_out_scores(
    network: PRN, store: ImageStore, sources: NDArray[np.int64], top: float, progress: Progress
) -> NDArray[np.float32]:
    """The score of each image as if the prototypes had been made without it. sources: see Prototypes.forward."""
    scores = []
    for start in range(0, len(store), _BATCH):
        part = slice(start, start + _BATCH)
        images = torch.from_numpy(network_input(store.images[part])).to(device())
        stem = network.backbone.stem(images)
        size = (images.shape[2], images.shape[3])
        source = torch.from_numpy(sources[part]).to(device())
        logits = network.head(stem, network.backbone.body(stem), size, source)
        maps = with_context(torch.sigmoid(logits), network.context)
        if store.valid is not None:
            maps = maps * torch.from_numpy(store.valid[part]).to(device())
        scores.append(image_score(maps, top).cpu().numpy())
        progress.track("judging images", min(start + _BATCH, len(store)), len(store))
    return np.concatenate(scores)


def sources_of(records: tuple[Record, ...], split: Split) -> NDArray[np.int64]:
    """Where each image stands among those that made the prototypes; NO_SOURCE for one that did not."""
    trained = {split.entries[index].pixels: place for place, index in enumerate(split.indices("train"))}
    return np.array([trained.get(record.pixels, NO_SOURCE) for record in records], np.int64)


def _problem(record: Record, far: float) -> Problem:
    rule, told = ("suspect", "looks like a defect") if far > FAR else ("look-first", "among the highest of the good")
    message = f"{told}: its score lies {far:.1f} robust standard deviations above those of the other good images"
    return Problem.of(rule, [record.sample.path], message)
