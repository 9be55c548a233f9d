"""The story of an inspection, a function a command: check, preview, train, evaluate, predict, export, demo."""

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from protores import presets, toy, warm_start
from protores.bundle.contract import Contract
from protores.bundle.export import Format, Precision, Trained, check_request, export_bundle
from protores.data.check import inspect
from protores.data.findings import Findings
from protores.data.layouts import TEST, survey
from protores.data.splits import Split, refuse_trained
from protores.errors import RunError, SettingsError, SplitError
from protores.files import write_json, writing
from protores.judgement import Judgement, calibration_images, device, judge, pick_threshold, typical_images
from protores.memory import fitting
from protores.metrics.evaluation import Evaluation
from protores.model.network import PRN, build_network, check_size
from protores.model.prototypes import number_of_prototypes
from protores.prediction import predict as predict
from protores.product import Images, Product, open_product, read_store, select
from protores.progress import Progress
from protores.report import pictures
from protores.run import Run
from protores.runtime.engine import Engine, open_engine, runtimes_for
from protores.settings import DataSettings, Settings
from protores.synthesis.synthesizer import Synthesizer
from protores.training.features import extract_features
from protores.training.fit import Outcome, fit, prepare_torch, use_bf16
from protores.training.loader import Batches

SILENT = Progress()
Overrides = Mapping[str, Any]
Watch = Callable[[int, Judgement], None]


def check(data: Path, settings: DataSettings | None = None, progress: Progress = SILENT) -> Findings:
    """What is in a folder, how it is read, and what is wrong with it."""
    return inspect(data, settings or DataSettings(), progress=lambda a, b: progress.track("reading images", a, b))


def preview(
    data: Path,
    out: Path,
    preset: str | None = None,
    overrides: Overrides | None = None,
    skip_bad: bool = False,
    progress: Progress = SILENT,
) -> Path:
    """Writes a contact sheet: images, foreground, simulated and extended anomalies with mask contours."""
    product, settings = open_product(_asked(data, preset, overrides or {}), skip_bad, progress)
    for line in product.findings.problem_lines():
        progress.note(line)
    with writing(out):
        pictures.save(out, pictures.preview(product, _synthesizer(product, settings), settings.seed))
    return out


def train(
    data: Path,
    out: Path,
    preset: str | None = None,
    overrides: Overrides | None = None,
    resume: bool = False,
    skip_bad: bool = False,
    progress: Progress = SILENT,
    watch: Watch | None = None,
) -> Evaluation:
    """Trains on a folder of images and writes a run: settings, split, model, history, metrics, pictures.

    overrides: dotted keys of settings. resume: goes on with an interrupted run in `out`; a finished one is
    judged again. watch: for benchmarks that also quote the best epoch on the test set, as others do: it is told the
    step and the test images' judgement every training.validate_every steps and at the end; nothing that training
    does, writes or returns depends on it. Raises a ProtoresError for any input that cannot be used, before anything is
    written.
    """
    began = time.monotonic()
    run = Run(out)
    settings = _settings(run, data, preset, overrides or {}, resume)
    check_size(settings.data.size)
    product, settings = open_product(settings, skip_bad, progress)
    for note in (*product.findings.problem_lines(), *product.split.notes):
        progress.note(note)
    if resume and run.split.exists() and run.read_split().hash != product.split.hash:
        changed = f"the images in {_folders(settings)} are not the ones {out} was begun with"
        raise RunError(f"{changed}; train into another folder")
    if not len(product.split.indices(TEST)):
        raise SplitError(f"no image of {data} is left to test on; lower --seen or add test images")
    if run.is_complete:
        progress.note(f"{out} is finished already")
        shutil.rmtree(run.work, ignore_errors=True)
        return evaluate(out, progress=progress)
    prepare_torch(settings.training, settings.seed)
    synthesizer = _synthesizer(product, settings)
    network = _network(run, product, settings)
    network.to(device(), memory_format=torch.channels_last)
    with writing(out, "free some space and go on with --resume"):
        run.create(settings, product.split)
        pictures.save(run.path / "preview.png", pictures.preview(product, synthesizer, settings.seed))
        calibration = calibration_images(product, synthesizer, settings.seed)
        outcome = _fit(run, network, product, synthesizer, calibration, settings, progress, began, watch)
        if settings.training.warm_start is not None:
            warm_start.blend(network, Run(settings.training.warm_start), settings.training.warm_share)
        run.save_network(network)
        trained = run.load_network(settings).to(device())
        threshold = pick_threshold(trained, calibration, settings) if calibration else None
        judgement = judge(trained, product.role(TEST), settings, product.seen_kinds, progress)
        metrics = judgement.figures.to_dict() | {
            "map_threshold": threshold,
            "split": product.split.hash,
            "seed": settings.seed,
            "steps": outcome.steps,
            "batch_size": outcome.batch_size,
            "seconds": {"training": round(outcome.seconds, 1), "all": round(time.monotonic() - began, 1)},
            "images_per_second": round(outcome.images_per_second, 1),
        }
        _write_judgement(run, judgement, metrics)
        shutil.rmtree(run.work)
    return judgement.figures


def evaluate(out: Path, data: Path | None = None, progress: Progress = SILENT) -> Evaluation:
    """Judges a run on its own test images and renews metrics.json and results.png; or on another folder.

    data: a folder of good and bad images, of which the test part is taken where it has one; then the figures
    are returned and nothing is written. Raises SplitError if one of its images trained the run.
    """
    run = Run(out)
    settings, split = run.read_settings(), run.read_split()
    network = run.load_network(settings).to(device())
    prepare_torch(settings.training, settings.seed)
    if data is not None and data.resolve() != settings.data.root:
        found = survey(data)
        part = TEST if found.dataset.has_test else None
        store, _ = read_store(found, settings.data, False, progress, part)
        refuse_trained(split, store.records)
        return judge(network, select(store, np.arange(len(store))), settings, split.seen_kinds, progress).figures
    product = reopen(settings, split, "name a folder to judge with --data", progress)
    judgement = judge(network, product.role(TEST), settings, product.seen_kinds, progress)
    with writing(out):
        _write_judgement(run, judgement, run.read_metrics() | judgement.figures.to_dict())
    return judgement.figures


def export(
    out: Path,
    into: Path,
    format: Format = "onnx",
    precision: Precision = "f32",
    licence: str | None = None,
    force: bool = False,
    progress: Progress = SILENT,
) -> Contract:
    """Makes a bundle of a run: the network for ONNX Runtime or OpenVINO, contract.json, golden samples.

    licence: of the backbone's weights, where more is known than their file says. force: INT8 whatever it costs.
    Raises BundleError where that cannot be done or does not give what torch gives; then nothing is written.
    """
    check_request(into, format, precision)
    run = Run(out)
    settings, split = run.read_settings(), run.read_split()
    network = run.load_network(settings)
    prepare_torch(settings.training, settings.seed)
    product = reopen(settings, split, "restore them, or train anew", progress)
    synthesizer = _synthesizer(product, settings)
    calibration = calibration_images(product, synthesizer, settings.seed)
    typical = typical_images(product, synthesizer, settings.seed)
    trained = Trained(network, settings, split, product, calibration, typical, *run.read_decision(settings))
    with writing(into):
        return export_bundle(into, trained, format, precision, _engines, licence, force, progress)


def _engines(folder: Path, contract: Contract) -> list[Engine]:
    return [open_engine(folder, contract, name) for name in runtimes_for(contract)]


def demo(out: Path, progress: Progress = SILENT) -> Evaluation:
    """Draws the toy product, checks, trains and judges: the main job from nothing, on any machine, offline."""
    if Run(out).exists:
        raise RunError(f"{out} exists already; delete it or pass another --out")
    progress.note("the backbone starts at random, so that nothing is downloaded; own products do better with --weights")
    with writing(out):
        data = toy.draw(out / "toy")
    return train(data, out / "run", "quick", DEMO, progress=progress)


DEMO: Overrides = {"model.weights": "random", "training.steps": 300, "training.minutes": 2.5}


def _asked(data: Path, preset: str | None, overrides: Overrides) -> Settings:
    """The settings of the preset, or of the run that is started from, with overrides, for the images in `data`; folders
    of images and runs as whole paths."""
    settings = presets.load(preset or "standard", overrides)
    add = tuple(folder.resolve() for folder in settings.data.add)
    paths: dict[str, Any] = {"data.root": data.resolve(), "data.add": add}
    if settings.training.warm_start is None:
        return presets.changed(settings, paths)
    if preset is not None:
        raise SettingsError("--from goes on with the preset of that run; leave out --preset")
    start = settings.training.warm_start.resolve()
    return warm_start.inherited(Run(start), {**overrides, **paths, "training.warm_start": start})


def _folders(settings: Settings) -> str:
    return " and ".join(str(folder) for folder in (settings.data.root, *settings.data.add))


def _settings(run: Run, data: Path, preset: str | None, overrides: Overrides, resume: bool) -> Settings:
    """The run's own settings on resume, which may not be contradicted; else the preset's with overrides."""
    asked = _asked(data, preset, overrides)
    if not run.exists:
        return asked
    if not resume:
        raise RunError(f"{run.path} exists already; go on with --resume, delete it, or pass another --out")
    kept = run.read_settings()
    if asked.model_copy(update={"data": asked.data.model_copy(update={"bit_depth": kept.data.bit_depth})}) != kept:
        raise SettingsError(f"{run.settings} has other settings; resume with the command it was begun with")
    return kept


def reopen(settings: Settings, split: Split, cure: str, progress: Progress) -> Product:
    """A run's product again. Raises RunError where its images are not any more what they were in training."""
    product, _ = open_product(settings, True, progress)
    if product.split.hash != split.hash:
        raise RunError(f"the images in {_folders(settings)} changed since training; {cure}")
    return product


def _synthesizer(product: Product, settings: Settings) -> Synthesizer:
    good, seen = product.role("train"), product.role("seen")
    return Synthesizer(
        good.images,
        seen.images,
        seen.masks if seen.valid is None else seen.masks * seen.valid,
        settings.synthesis.textures,
        settings.synthesis,
        settings.seed,
        good.valid,
    )


def _network(run: Run, product: Product, settings: Settings) -> PRN:
    """What training starts from, without its prototypes: a new network, or the one of another run."""
    images = len(product.role("train"))
    k = number_of_prototypes(images, settings.model.prototype_share, settings.model.prototype_cap)
    if settings.training.warm_start is None:
        return build_network(settings.model, settings.data.size, images, k)
    old = Run(settings.training.warm_start)
    warm_start.require_kept(product.split, old)
    if run.environment.exists():
        warm_start.require_unchanged(run, old)
    network = build_network(settings.model, settings.data.size, images, k, weights="random")
    warm_start.fill(network, old)
    return network


def _fit(
    run: Run,
    network: Any,
    product: Product,
    synthesizer: Synthesizer,
    calibration: Images | None,
    settings: Settings,
    progress: Progress,
    began: float,
    watch: Watch | None,
) -> Outcome:
    """Prototypes, then the training; leaves the averaged weights in the network."""
    good, seen = product.role("train"), product.role("seen")
    bf16 = use_bf16(settings.training)
    at = time.monotonic()
    features = extract_features(
        network.backbone, good.images, bf16, run.work, lambda done: progress.track("features", done, len(good))
    )
    per_image = (time.monotonic() - at) / len(good)
    progress.track("prototypes", 0, 1)
    network.residuals.prototypes.fit(features, settings.seed)
    progress.track("prototypes", 1, 1)

    def validate() -> dict[str, float | None]:
        if calibration is None:
            return {}
        figures = judge(network, calibration, settings, product.seen_kinds).figures.to_dict()
        network.train()
        return figures

    def look(step: int) -> None:
        if watch is not None:
            watch(step, judge(network, product.role(TEST), settings, product.seen_kinds))
            network.train()

    seconds = None
    if settings.training.minutes is not None:
        judging = JUDGING * per_image * len(product.role(TEST))
        seconds = max(1.0, settings.training.minutes * 60 - (time.monotonic() - began) - judging)

    def fitted(batch_size: int) -> Outcome:
        training = settings.training.model_copy(update={"batch_size": batch_size})
        return fit(
            network,
            Batches(good.images, seen.images, seen.masks, synthesizer, training, settings.seed, good.valid, seen.valid),
            features,
            training,
            leave_one_out=settings.model.leave_one_out,
            checkpoint=run.checkpoint,
            history=run.history,
            validate=validate,
            progress=progress,
            seconds=seconds,
            watch=look,
        )

    return fitting(settings.training.batch_size, fitted, LEAST, progress.note)


LEAST = 2
"""Images of a training batch, a normal one and a drawn one."""
JUDGING = 6.0
"""Judging an image takes about so many times as long as its features in training's precision."""


def _write_judgement(run: Run, judgement: Judgement, metrics: dict[str, Any]) -> None:
    pictures.save(run.path / "results.png", pictures.results(judgement, metrics.get("map_threshold")))
    write_json(run.metrics, metrics)  # last: with it a run is complete
