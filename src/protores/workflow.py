"""The story of an inspection, a function a command: check, preview, train, evaluate, predict, export, demo."""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
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
from protores.judgements import Judgements, judge_parts
from protores.memory import fitting
from protores.metrics.evaluation import Evaluation
from protores.model.network import PRN, build_network, check_size
from protores.model.prototypes import number_of_prototypes
from protores.prediction import predict as predict
from protores.product import Images, Product, open_product, read_store, select
from protores.products import Products, open_data
from protores.progress import Progress
from protores.report import pictures
from protores.run import Run
from protores.runtime.engine import Engine, open_engine, runtimes_for
from protores.settings import DataSettings, Settings
from protores.synthesis.products import ProductSynthesizer
from protores.synthesis.synthesizer import Synthesizer
from protores.training.features import extract_features
from protores.training.fit import Outcome, fit, prepare_torch, use_bf16
from protores.training.group import Group, processes
from protores.training.loader import Batches, check_shares

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
        pictures.save(out, pictures.preview(product, *_synthesizers(product, settings), settings.seed))
    return out


def train(
    data: Path | Sequence[Path],
    out: Path,
    preset: str | None = None,
    overrides: Overrides | None = None,
    resume: bool = False,
    skip_bad: bool = False,
    progress: Progress = SILENT,
    watch: Watch | None = None,
) -> Evaluation:
    """Trains on a folder of images and writes a run: settings, split, model, history, metrics, pictures.

    data: of several folders each is a product, and one network learns all (products.product_folders). overrides: dotted
    keys of settings. resume: goes on with an interrupted run in `out`; a finished one is judged again. watch: for
    benchmarks that also quote the best epoch on the test set, as others do: it is told the step and the test images'
    judgement (of several products each one's) every training.validate_every steps and at the end; nothing that training
    does, writes or returns depends on it. Raises a ProtoresError for any input that cannot be used, before anything is
    written.
    """
    began = time.monotonic()
    asked = _asked(data, preset, overrides or {})
    check_size(asked.data.size)
    check_shares(asked.training)
    with processes(asked.training.devices, asked.training.nodes) as group:
        return _train(group, Run(out), asked, resume, skip_bad, progress if group.is_first else SILENT, watch, began)


def _train(
    group: Group,
    run: Run,
    asked: Settings,
    resume: bool,
    skip_bad: bool,
    progress: Progress,
    watch: Watch | None,
    began: float,
) -> Evaluation:
    """What train does in each process of the group; the first alone writes."""
    settings = group.on_first(lambda: _settings(run, asked, resume))
    product, settings = group.on_each(lambda: open_data(settings, skip_bad, progress), first_alone=True)
    behind = [min(len(part.split.indices("train")), settings.model.prototype_images) for part in product.parts]
    for note in (*product.problem_lines(), *product.split.notes, *_sampled(product, behind)):
        progress.note(note)
    begun_with = group.on_first(lambda: run.read_split().hash if resume and run.split.exists() else product.split.hash)
    group.on_each(lambda: _require_split(product, begun_with, run, settings))
    if group.on_first(lambda: run.is_complete):
        progress.note(f"{run.path} is finished already")
        shutil.rmtree(run.work, ignore_errors=True)
        return evaluate(run.path, None, progress, settings.training.devices, settings.training.nodes)
    prepare_torch(settings.training, settings.seed)
    synthesizers = _synthesizers(product, settings)
    network = group.on_each(lambda: _network(run, product, settings))
    network.to(device(), memory_format=torch.channels_last)
    with writing(run.path, "free some space and go on with --resume"):
        group.on_first(lambda: _begin(run, product, synthesizers, settings))
        calibration = _calibration(product, synthesizers, settings.seed)
        outcome = _fit(group, run, network, product, synthesizers, calibration, settings, progress, began, watch)
        if settings.training.warm_start is not None:
            warm_start.blend(network, Run(settings.training.warm_start), settings.training.warm_share)
        group.on_first(lambda: run.save_network(network))
        trained = (run.load_network(settings) if group.is_first else network).to(device())
        thresholds = group.on_first(
            lambda: {name: pick_threshold(trained, images, settings) for name, images in calibration.items()}
        )
        judged = judge_parts(trained, product, _tests(product), settings, progress, group)
        metrics = judged.figures.to_dict() | {
            **_map_thresholds(product, thresholds),
            "split": product.split.hash,
            "seed": settings.seed,
            "prototype_images": sum(behind),
            "steps": outcome.steps,
            "batch_size": outcome.batch_size,
            "seconds": {"training": round(outcome.seconds, 1), "all": round(time.monotonic() - began, 1)},
            "images_per_second": round(outcome.images_per_second, 1),
        }
        group.on_first(lambda: _write_judgement(run, judged, metrics))
        if group.is_first:
            shutil.rmtree(run.work)
    return judged.figures


def evaluate(
    out: Path, data: Path | None = None, progress: Progress = SILENT, devices: int = 1, nodes: int = 1
) -> Evaluation:
    """Judges a run on its own test images and renews metrics.json and results.png; or on another folder.

    data: a folder of good and bad images, of which the test part is taken where it has one; then the figures
    are returned and nothing is written. devices, nodes: the processes that share the images, as for training. Raises
    SplitError if one of its images trained the run.
    """
    with processes(devices, nodes) as group:
        return _evaluate(group, Run(out), data, progress if group.is_first else SILENT, devices)


def _evaluate(group: Group, run: Run, data: Path | None, progress: Progress, devices: int) -> Evaluation:
    settings, split = group.on_each(lambda: (run.read_settings(), run.read_split()))
    network = group.on_each(lambda: run.load_network(settings)).to(device())
    prepare_torch(settings.training.model_copy(update={"devices": devices}), settings.seed)
    if data is not None and settings.data.products:
        raise SettingsError(f"{run.path} has several products, which are judged on their own test images; omit --data")
    if data is not None and data.resolve() != settings.data.root:
        images = group.on_each(lambda: _others(data, settings, split, progress), first_alone=True)
        return judge(network, images, settings, split.seen_kinds, progress, group).figures
    product = group.on_each(
        lambda: reopen(settings, split, "name a folder to judge with --data", progress), first_alone=True
    )
    judged = judge_parts(network, product, _tests(product), settings, progress, group)
    with writing(run.path):
        group.on_first(lambda: _write_judgement(run, judged, run.read_metrics() | judged.figures.to_dict()))
    return judged.figures


def _others(data: Path, settings: Settings, split: Split, progress: Progress) -> Images:
    """The images of another folder, of which none trained."""
    found = survey(data)
    part = TEST if found.dataset.has_test else None
    store, _ = read_store(found, settings.data, False, progress, part)
    refuse_trained(split, store.records)
    return select(store, np.arange(len(store)))


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
    synthesizers = _synthesizers(product, settings)
    parts = zip(product.parts, synthesizers, strict=True)
    typical = [typical_images(part, synthesizer, settings.seed) for part, synthesizer in parts]
    calibration = _calibration(product, synthesizers, settings.seed)
    decisions = {part.name: run.read_decision(settings, part.name) for part in product.parts}
    trained = Trained(network, settings, split, product, calibration, np.concatenate(typical), decisions)
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


def _asked(data: Path | Sequence[Path], preset: str | None, overrides: Overrides) -> Settings:
    """The settings of the preset, or of the run that is started from, with overrides, for the images in `data`; folders
    of images and runs as whole paths."""
    settings = presets.load(preset or "standard", overrides)
    add = tuple(folder.resolve() for folder in settings.data.add)
    root, several = (data.resolve(), ()) if isinstance(data, Path) else (None, tuple(one.resolve() for one in data))
    paths: dict[str, Any] = {"data.root": root, "data.products": several, "data.add": add}
    if settings.training.warm_start is None:
        return presets.changed(settings, paths)
    if several:
        raise SettingsError("--from goes on with a network of one product; leave out --from or --multi")
    if preset is not None:
        raise SettingsError("--from goes on with the preset of that run; leave out --preset")
    start = settings.training.warm_start.resolve()
    return warm_start.inherited(Run(start), {**overrides, **paths, "training.warm_start": start})


def _sampled(product: Product | Products, behind: Sequence[int]) -> list[str]:
    """Says where not all good images make the prototypes."""
    good = [len(part.split.indices("train")) for part in product.parts]
    return [
        f"{some} of the {all_} good images, drawn by seed, make the prototypes"
        for some, all_ in zip(behind, good, strict=True)
        if some < all_
    ]


def _folders(settings: Settings) -> str:
    data = settings.data
    return " and ".join(str(folder) for folder in (*(data.products or (data.root,)), *data.add))


def _settings(run: Run, asked: Settings, resume: bool) -> Settings:
    """What was asked for. On resume it may not contradict the run's own settings, but for the devices at work."""
    if not run.exists:
        return asked
    if not resume:
        raise RunError(f"{run.path} exists already; go on with --resume, delete it, or pass another --out")
    kept = run.read_settings()
    asked = asked.model_copy(update={"data": asked.data.model_copy(update={"bit_depth": kept.data.bit_depth})})
    at_work = {name: getattr(asked.training, name) for name in ("devices", "nodes")}
    if kept.model_copy(update={"training": kept.training.model_copy(update=at_work)}) != asked:
        raise SettingsError(f"{run.settings} has other settings; resume with the command it was begun with")
    return asked


def _require_split(product: Product | Products, begun_with: str, run: Run, settings: Settings) -> None:
    """Raises RunError where the images are not those that the run was begun with, by the first process, and SplitError
    where none of them is left to test on."""
    for part in product.parts:
        if not len(part.split.indices(TEST)):
            raise SplitError(f"no image of {part.dataset.root} is left to test on; lower --seen or add test images")
    if product.split.hash != begun_with:
        changed = f"the images in {_folders(settings)} are not the ones {run.path} was begun with"
        raise RunError(f"{changed}; train into another folder")


def _begin(
    run: Run, product: Product | Products, synthesizers: Sequence[Synthesizer], settings: Settings
) -> None:
    run.create(settings, product.split)
    parts = zip(product.parts, synthesizers, strict=True)
    sheets = [pictures.preview(part, synthesizer, settings.seed) for part, synthesizer in parts]
    pictures.save(run.path / "preview.png", pictures.stacked(sheets))


def reopen(settings: Settings, split: Split, cure: str, progress: Progress) -> Product | Products:
    """A run's product again. Raises RunError where its images are not any more what they were in training."""
    product, _ = open_data(settings, True, progress)
    if product.split.hash != split.hash:
        raise RunError(f"the images in {_folders(settings)} changed since training; {cure}")
    return product


def _synthesizers(product: Product | Products, settings: Settings) -> list[Synthesizer]:
    """One for each product."""
    return [_synthesizer(part, settings) for part in product.parts]


def _synthesizer(product: Product, settings: Settings) -> Synthesizer:
    good, seen = product.role("train"), product.role("seen")
    return Synthesizer(
        good.images,
        seen.images,
        seen.counting_masks,
        settings.synthesis.textures,
        settings.synthesis,
        settings.seed,
        good.valid,
    )


def _calibration(
    product: Product | Products, synthesizers: Sequence[Synthesizer], seed: int
) -> dict[str, Images]:
    """The calibration images by product; of products that have some."""
    parts = zip(product.parts, synthesizers, strict=True)
    found = {part.name: calibration_images(part, synthesizer, seed) for part, synthesizer in parts}
    return {name: images for name, images in found.items() if images is not None}


def _tests(product: Product | Products) -> dict[str, Images]:
    """The test images by product."""
    return {part.name: part.role(TEST) for part in product.parts}


def _map_thresholds(product: Product | Products, found: Mapping[str, float | None]) -> dict[str, Any]:
    """The thresholds that outline, as metrics.json has them."""
    if len(product.parts) > 1:
        return {"map_thresholds": dict(found)}
    return {"map_threshold": next(iter(found.values()), None)}


def _network(run: Run, product: Product | Products, settings: Settings) -> PRN:
    """What training starts from, without its prototypes: a new network, or the one of another run."""
    share, cap = settings.model.prototype_share, settings.model.prototype_cap
    if isinstance(product, Products):
        each = [len(part.role("train")) for part in product.parts]
        counts = [number_of_prototypes(images, share, cap) for images in each]
        return build_network(settings.model, settings.data.size, each, counts)
    images = len(product.role("train"))
    k = number_of_prototypes(images, share, cap)
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
    group: Group,
    run: Run,
    network: Any,
    product: Product | Products,
    synthesizers: Sequence[Synthesizer],
    calibration: Mapping[str, Images],
    settings: Settings,
    progress: Progress,
    began: float,
    watch: Watch | None,
) -> Outcome:
    """Prototypes, then the training; leaves the averaged weights in the network."""
    good, seen = product.role("train"), product.role("seen")
    counts = [(len(part.role("train")), len(part.role("seen"))) for part in product.parts]
    synthesizer = synthesizers[0]
    if len(counts) > 1:
        synthesizer = ProductSynthesizer(synthesizers, [images for images, _ in counts])
    bf16 = use_bf16(settings.training)
    at = time.monotonic()
    features = extract_features(
        network.backbone,
        good.images,
        bf16,
        run.work,
        lambda done: progress.track("features", done, len(good)),
        group=group,
    )
    per_image = (time.monotonic() - at) / len(good)
    progress.track("prototypes", 0, 1)
    residuals = network.residuals
    group.fill(residuals, lambda: residuals.fit(features, settings.seed, settings.model.prototype_images))
    progress.track("prototypes", 1, 1)

    def validate() -> dict[str, float | None]:
        if not calibration:
            return {}
        figures = judge_parts(network, product, calibration, settings, group=group).figures.to_dict()
        network.train()
        return figures

    def look(step: int) -> None:
        if watch is not None:
            for judgement in judge_parts(network, product, _tests(product), settings, group=group).parts.values():
                watch(step, judgement)
            network.train()

    seconds = None
    if settings.training.minutes is not None:
        judging = JUDGING * per_image * len(product.role(TEST))
        seconds = max(1.0, settings.training.minutes * 60 - (time.monotonic() - began) - judging)

    def fitted(batch_size: int) -> Outcome:
        training = settings.training.model_copy(update={"batch_size": batch_size})
        return fit(
            network,
            Batches(
                good.images,
                seen.images,
                seen.masks,
                synthesizer,
                training,
                settings.seed,
                good.valid,
                seen.valid,
                group.rank,
                group.size,
                counts,
            ),
            features,
            training,
            leave_one_out=settings.model.leave_one_out,
            checkpoint=run.checkpoint,
            history=run.history,
            validate=validate,
            progress=progress,
            seconds=seconds,
            watch=look,
            group=group,
        )

    whole = settings.training.batch_size
    return fitting(whole, fitted, LEAST if group.size == 1 else whole, progress.note)  # one of several cannot change it


LEAST = 2
"""Images of a training batch, a normal one and a drawn one."""
JUDGING = 6.0
"""Judging an image takes about so many times as long as its features in training's precision."""


def _write_judgement(run: Run, judged: Judgements, metrics: dict[str, Any]) -> None:
    thresholds = metrics.get("map_thresholds", dict.fromkeys(judged.parts, metrics.get("map_threshold")))
    sheets = [pictures.results(own, thresholds.get(name), name) for name, own in judged.parts.items()]
    pictures.save(run.path / "results.png", pictures.stacked(sheets))
    write_json(run.metrics, metrics)  # last: with it a run is complete
