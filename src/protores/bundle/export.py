"""A trained run becomes a bundle: the network converted, held against what torch gives, and described."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from protores.bundle import golden
from protores.bundle.contract import (
    SEVERAL,
    VERSION,
    Contract,
    Decision,
    Figure,
    Golden,
    Image,
    Map,
    Model,
    Product,
    Quantization,
    Score,
)
from protores.bundle.convert import DISTANCES, INPUT, OPSET, OUTPUT, to_onnx, to_openvino
from protores.bundle.graph import Deployed, deployed
from protores.bundle.origin import origin
from protores.bundle.quantize import quantize
from protores.bundle.quiet import import_quietly
from protores.data.image import encode_mask, network_input
from protores.data.splits import Split
from protores.data.uses import Uses
from protores.errors import BundleError
from protores.files import whole_folder, write_text
from protores.metrics.evaluation import Figures, evaluate
from protores.metrics.products import mean
from protores.model.network import PRN
from protores.model.scoring import image_score, score_images
from protores.product import Images, select
from protores.product import Product as ProductImages
from protores.products import Products
from protores.progress import Progress
from protores.settings import Settings

Format = Literal["onnx", "openvino"]
Precision = Literal["f32", "bf16", "int8"]
Maps = NDArray[np.float32]
Mask = NDArray[np.uint8] | None
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

    calibration: see judgement.calibration_images; of the products that have some, by name. typical: see
    judgement.typical_images; only INT8 needs them. decisions: see Run.read_decision, by product.
    """

    network: PRN
    settings: Settings
    split: Split
    product: ProductImages | Products
    calibration: Mapping[str, Images]
    typical: NDArray[np.uint8]
    decisions: Mapping[str, tuple[Decision, Mask, Mask]]

    @property
    def pools(self) -> dict[str, Images]:
        """The images that golden samples of each product are chosen from: never test images."""
        return {part.name: self._pool(part) for part in self.product.parts}

    def _pool(self, part: ProductImages) -> Images:
        if part.name in self.calibration:
            return self.calibration[part.name]
        return select(part.store, part.split.indices("train")[:FEW])


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
    settings, product, pools = trained.settings, trained.product, trained.pools
    several = len(product.parts) > 1
    module = deployed(trained.network, centred=precision != "f32")
    top = settings.model.score_top
    maps = {name: score_images(trained.network, pool.images, top)[0] for name, pool in pools.items()}
    chosen = _choose(pools, maps, top)
    with whole_folder(out) as folder:
        progress.track("exporting", 1, STEPS)
        _write_model(folder, module, trained, format, precision)
        progress.track("exporting", 2, STEPS)
        write_text(folder / IMAGES, Uses.of(trained.split).to_json())
        shown = chosen.products if several else [None] * len(chosen.products)
        samples = golden.write(folder, chosen.images, chosen.maps, chosen.scores, chosen.kinds, shown)
        decisions = {name: _decision(folder, several, *own) for name, own in trained.decisions.items()}
        known = [
            Product(
                name=part.name,
                kinds=part.dataset.kinds,
                seen_kinds=tuple(sorted(part.seen_kinds)),
                decision=decisions[part.name],
            )
            for part in product.parts
        ]
        contract = Contract(
            version=SEVERAL if several else VERSION,
            product=", ".join(part.name for part in known),
            products=tuple(known) if several else None,
            kinds=tuple(sorted({kind for part in known for kind in part.kinds})),
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
                distances=DISTANCES if several else None,
            ),
            image=Image(
                size=settings.data.size,
                bit_depth=settings.data.bit_depth or 16,
                keep_aspect=settings.data.keep_aspect,
            ),
            map=Map(size=settings.data.size),
            score=Score(top=settings.model.score_top),
            decision=Decision() if several else known[0].decision,
            images=IMAGES,
            golden=Golden(bound=F32_BOUND, samples=samples),
            files={},
            origin=origin(settings, trained.split, licence),
        )
        networks = open_engines(folder, contract)
        found = float(np.max([_deviation(network, chosen.images, chosen.maps) for network in networks]))
        if several:
            for network in networks:
                _require_recognised(network, chosen, contract)
        changes: dict[str, Any] = {"golden": Golden(bound=_bound(precision, found), samples=samples)}
        progress.track("exporting", 3, STEPS)
        if precision == "int8":
            cost = _cost(trained, networks[0], maps, force)
            changes["model"] = contract.model.model_copy(update={"quantization": cost})
        contract = contract.model_copy(update=changes)
        contract.with_files(folder, *contract.named()).write(folder)
    progress.track("exporting", STEPS, STEPS)
    if precision != "f32" and any(decision.good_below is not None for decision in contract.decisions):
        progress.note(f"the thresholds were set on f32's scores; {precision}'s differ: calibrate the bundle once more")
    return Contract.read(out)


def _choose(pools: Mapping[str, Images], maps: Mapping[str, Maps], top: float) -> "_Chosen":
    """The golden samples of all products."""
    found: list[_Chosen] = []
    for name, pool in pools.items():
        scores = image_score(torch.from_numpy(maps[name]), top).numpy()
        own = golden.choose(pool.kinds, scores)
        kinds = [pool.kinds[i] for i in own]
        found.append(_Chosen(pool.images[own], maps[name][own], scores[own], kinds, [name] * len(own)))
    return _Chosen(
        np.concatenate([one.images for one in found]),
        np.concatenate([one.maps for one in found]),
        np.concatenate([one.scores for one in found]),
        [kind for one in found for kind in one.kinds],
        [name for one in found for name in one.products],
    )


@dataclass(frozen=True)
class _Chosen:
    """Golden samples to be: images N x H x W x 3 uint8 RGB, maps N x H x W and scores of torch, and what they show."""

    images: NDArray[np.uint8]
    maps: Maps
    scores: NDArray[np.float32]
    kinds: list[str]
    products: list[str]


def _require_recognised(network: Network, chosen: _Chosen, contract: Contract) -> None:
    """Raises BundleError where the exported network takes a golden sample for another product than torch does."""
    assert contract.products is not None
    names = [product.name for product in contract.products]
    for i, product in enumerate(chosen.products):
        _, distances = network.recognise(network_input(chosen.images[i : i + 1]))
        if (taken := names[int(distances[0].argmin())]) != product:
            raise BundleError(f"the exported network takes an image of {product} for {taken}; export f32")


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


def _decision(folder: Path, several: bool, decision: Decision, ignore: Mask, roi: Mask) -> Decision:
    """A product's decision, with its masks as files of the bundle, named by content where products are several."""
    names = {}
    for name, mask in (("ignore", ignore), ("roi", roi)):
        names[name] = None
        if mask is not None:
            data = encode_mask(mask)
            names[name] = f"{name}-{hashlib.sha256(data).hexdigest()[:8]}.png" if several else f"{name}.png"
            (folder / names[name]).write_bytes(data)
    return decision.model_copy(update=names)


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


def _cost(trained: Trained, network: Network, maps: Mapping[str, Maps], force: bool) -> Quantization:
    """What INT8 costs on the calibration parts, in the mean of the products; maps: of torch, by product. Raises
    BundleError if that is too much."""
    calibration, settings = trained.calibration, trained.settings
    figures = dict.fromkeys(COST, Figure(f32=None, int8=None))
    if calibration:
        before = mean([_figures(maps[name], images, settings) for name, images in calibration.items()])
        quantised = {name: _run(network, images.images) for name, images in calibration.items()}
        after = mean([_figures(quantised[name], images, settings) for name, images in calibration.items()])
        figures = {name: Figure(f32=getattr(before, name), int8=getattr(after, name)) for name in COST}
    refusal = _refusal(figures)
    if refusal and not force:
        raise BundleError(f"{refusal}; export bf16 with --format openvino, or pass --force")
    return Quantization(
        calibrated_on=len(trained.typical),
        judged_on=sum(map(len, calibration.values())),
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


def _figures(maps: Maps, images: Images, settings: Settings) -> Figures:
    """As judge() computes them: where nothing counts the map is 0."""
    if images.valid is not None:
        maps = maps * images.valid
    scores = image_score(torch.from_numpy(maps), settings.model.score_top).numpy()
    return evaluate(scores, maps, images.masks_or_none(), images.kinds, set(), images.ignored())
