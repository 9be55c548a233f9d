"""A trained run becomes a bundle: the network converted, held against what torch gives, and described."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from protores.bundle import golden
from protores.bundle.contract import (
    Contract,
    Decision,
    Figure,
    Golden,
    Image,
    Map,
    Model,
    Quantization,
    Score,
)
from protores.bundle.convert import INPUT, OPSET, OUTPUT, to_onnx, to_openvino
from protores.bundle.graph import Deployed, deployed
from protores.bundle.origin import origin
from protores.bundle.quantize import quantize
from protores.bundle.quiet import import_quietly
from protores.data.image import encode_mask, network_input
from protores.data.splits import Split
from protores.data.uses import Uses
from protores.errors import BundleError
from protores.files import whole_folder, write_text
from protores.metrics.evaluation import Evaluation, evaluate
from protores.model.network import PRN
from protores.model.scoring import image_score, score_images
from protores.product import Images, Product, select
from protores.progress import Progress
from protores.settings import Settings

Format = Literal["onnx", "openvino"]
Precision = Literal["f32", "bf16", "int8"]
Maps = NDArray[np.float32]
Network = Callable[[NDArray[np.float32]], Maps]
OpenEngines = Callable[[Path, Contract], list[Network]]
"""A bundle's folder and contract to its network in every runtime that is installed and can run it."""

F32_BOUND = 1e-4
REDUCED_BOUND = 0.02
"""The least bound of bf16 and INT8: another processor rounds elsewhere than the one that exported."""
COST = {"image_auroc": 0.002, "pixel_ap": 0.01}
"""What INT8 may cost on the calibration part."""
NAMES = {"image_auroc": "image AUROC", "pixel_ap": "pixel AP"}
FILES: dict[Format, str] = {"onnx": "model.onnx", "openvino": "model.xml"}
IMAGES = "images.json"
FEW = 32
"""Good images to choose golden samples from where nothing was kept for calibration."""
BATCH = 8
STEPS = 4


@dataclass(frozen=True)
class Trained:
    """All of a run that a bundle is made from.

    calibration: see judgement.calibration_images. typical: see judgement.typical_images; only INT8 needs them.
    decision, ignore, roi: see Run.read_decision.
    """

    network: PRN
    settings: Settings
    split: Split
    product: Product
    calibration: Images | None
    typical: NDArray[np.uint8]
    decision: Decision
    ignore: NDArray[np.uint8] | None
    roi: NDArray[np.uint8] | None

    @property
    def pool(self) -> Images:
        """The images that golden samples are chosen from: never test images."""
        if self.calibration is not None:
            return self.calibration
        return select(self.product.store, self.product.split.indices("train")[:FEW])


def check_request(out: Path, format: str, precision: str) -> None:
    """Raises BundleError for what cannot be exported, and for a place that is taken."""
    if format not in get_args(Format) or precision not in get_args(Precision):
        raise BundleError(
            f"cannot export {precision} as {format}; formats are {', '.join(get_args(Format))}, "
            f"precisions {', '.join(get_args(Precision))}"
        )
    if format == "onnx" and precision == "bf16":
        raise BundleError("ONNX Runtime gains nothing by bf16 on a CPU; pass --format openvino, or --precision f32")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise BundleError(f"{out} exists already; delete it or pass another --out")
    for name in ("onnx", "onnxscript", *["openvino"] * (format == "openvino"), *["nncf"] * (precision == "int8")):
        import_quietly(name)


def export_bundle(
    out: Path,
    trained: Trained,
    format: Format,
    precision: Precision,
    open_engines: OpenEngines,
    licence: str | None,
    force: bool,
    progress: Progress,
) -> Contract:
    """Writes the bundle, whole or not at all. Raises BundleError where it does not give what torch gives, or where
    INT8 costs more than it may and `force` is not set."""
    settings, product, pool = trained.settings, trained.product, trained.pool
    module = deployed(trained.network, centred=precision != "f32")
    maps, scores = score_images(trained.network, pool.images, settings.model.score_top)
    chosen = golden.choose(pool.kinds, scores)
    with whole_folder(out) as folder:
        progress.track("exporting", 1, STEPS)
        _write_model(folder, module, trained, format, precision)
        progress.track("exporting", 2, STEPS)
        write_text(folder / IMAGES, Uses.of(trained.split).to_json())
        kinds = [pool.kinds[i] for i in chosen]
        samples = golden.write(folder, pool.images[chosen], maps[chosen], scores[chosen], kinds)
        contract = Contract(
            product=product.dataset.root.name,
            kinds=product.dataset.kinds,
            seen_kinds=tuple(sorted(product.seen_kinds)),
            model=Model(
                file=FILES[format],
                format=format,
                precision=precision,
                opset=OPSET,
                input=INPUT,
                output=OUTPUT,
                backbone=settings.model.backbone,
                prototypes=module.prototypes,
            ),
            image=Image(
                size=settings.data.size,
                bit_depth=settings.data.bit_depth or 16,
                keep_aspect=settings.data.keep_aspect,
            ),
            map=Map(size=settings.data.size),
            score=Score(top=settings.model.score_top),
            decision=_decision(folder, trained),
            images=IMAGES,
            golden=Golden(bound=F32_BOUND, samples=samples),
            files={},
            origin=origin(settings, trained.split, licence),
        )
        networks = open_engines(folder, contract)
        found = float(np.max([_deviation(network, pool.images[chosen], maps[chosen]) for network in networks]))
        changes: dict[str, Any] = {"golden": Golden(bound=_bound(precision, found), samples=samples)}
        progress.track("exporting", 3, STEPS)
        if precision == "int8":
            cost = _cost(trained, networks[0], maps, force)
            changes["model"] = contract.model.model_copy(update={"quantization": cost})
        contract = contract.model_copy(update=changes)
        contract.with_files(folder, *contract.named()).write(folder)
    progress.track("exporting", STEPS, STEPS)
    if precision != "f32" and contract.decision.good_below is not None:
        progress.note(f"the thresholds were set on f32's scores; {precision}'s differ: calibrate the bundle once more")
    return Contract.read(out)


def _write_model(folder: Path, module: Deployed, trained: Trained, format: Format, precision: Precision) -> None:
    """Writes the model's file(s)."""
    import onnx

    path = folder / FILES["onnx"]
    model: Any = to_onnx(module, trained.settings.data.size)
    if format == "openvino":
        onnx.save(model, path)
        model = to_openvino(path)
    if precision == "int8":
        model = quantize(model, trained.typical, format)
    if format == "onnx":
        onnx.save(model, path)
    else:
        import_quietly("openvino").save_model(model, folder / FILES["openvino"], compress_to_fp16=False)
        path.unlink()


def _decision(folder: Path, trained: Trained) -> Decision:
    """The run's decision, with its masks as files of the bundle."""
    names = {}
    for name, mask in (("ignore", trained.ignore), ("roi", trained.roi)):
        names[name] = None if mask is None else f"{name}.png"
        if mask is not None:
            (folder / f"{name}.png").write_bytes(encode_mask(mask))
    return trained.decision.model_copy(update=names)


def _run(network: Network, images: NDArray[np.uint8]) -> Maps:
    batches = (network_input(images[i : i + BATCH]) for i in range(0, len(images), BATCH))
    return np.concatenate([network(batch) for batch in batches])


def _deviation(network: Network, images: NDArray[np.uint8], maps: Maps) -> float:
    return float(golden.deviations(_run(network, images), maps).max())


def _bound(precision: Precision, found: float) -> float:
    """What the contract promises, from the largest deviation found here. Raises BundleError if it is too large."""
    most = F32_BOUND if precision == "f32" else 1.0
    if not found <= most:  # nor is a NaN
        raise BundleError(
            f"the exported network deviates by {found:.2g} from the trained one, more than {most}; "
            "install the versions of constraints.txt and export again"
        )
    return F32_BOUND if precision == "f32" else min(1.0, max(REDUCED_BOUND, round(2 * found, 4)))


def _cost(trained: Trained, network: Network, maps: Maps, force: bool) -> Quantization:
    """What INT8 costs on the calibration part; maps: of torch. Raises BundleError if that is too much."""
    images, none = trained.calibration, Figure(f32=None, int8=None)
    figures = dict.fromkeys(COST, none)
    if images is not None:
        before, after = (_figures(m, images, trained.settings) for m in (maps, _run(network, images.images)))
        figures = {name: Figure(f32=getattr(before, name), int8=getattr(after, name)) for name in COST}
    refusal = _refusal(figures)
    if refusal and not force:
        raise BundleError(f"{refusal}; export bf16 with --format openvino, or pass --force")
    return Quantization(
        calibrated_on=len(trained.typical),
        judged_on=0 if images is None else len(images),
        image_auroc=figures["image_auroc"],
        pixel_ap=figures["pixel_ap"],
        forced=refusal is not None,
    )


def _refusal(figures: dict[str, Figure]) -> str | None:
    """Why INT8 is not to be used, or None."""
    told = []
    for name, figure in figures.items():
        if figure.f32 is None or figure.int8 is None:
            return "what INT8 costs cannot be measured: the run's calibration part has no images of both classes"
        if figure.f32 - figure.int8 > COST[name]:
            points = 100 * (figure.f32 - figure.int8)
            told.append(f"{points:.2f} points of {NAMES[name]} (allowed: {100 * COST[name]:.1f})")
    return f"INT8 costs {' and '.join(told)} on the run's calibration part" if told else None


def _figures(maps: Maps, images: Images, settings: Settings) -> Evaluation:
    """As judge() computes them: where nothing counts the map is 0."""
    if images.valid is not None:
        maps = maps * images.valid
    scores = image_score(torch.from_numpy(maps), settings.model.score_top).numpy()
    return evaluate(scores, maps, images.masks_or_none, images.kinds, set(), images.ignored)
