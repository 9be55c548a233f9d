"""One self-contained HTML page about a run or a bundle on labelled images: for a quality manager, offline, to print."""

import json
from collections.abc import Sequence
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

import protores
from protores.data.check import inspect
from protores.data.layouts import TEST, recognise
from protores.data.sample import GOOD
from protores.data.store import Record
from protores.data.uses import DIGITS
from protores.decision.calibration import calibrate, goals, images_behind, own_samples, require_role
from protores.decision.inspected import Inspected, inspect_images
from protores.decision.rates import binomial_bounds, images_needed
from protores.decision.verdict import Thresholds
from protores.errors import ProtoresError
from protores.files import write_text, writing
from protores.metrics.evaluation import Evaluation, Figures, evaluate
from protores.metrics.ranking import rank
from protores.progress import Progress
from protores.report.card import Card, make_cards
from protores.report.curves import curves
from protores.settings import DataSettings
from protores.subject import Subject

BYTES_PER_IMAGE = 60_000
"""Room for a photo and its heat map: 150 images stay below 10 MB with the rest of the page."""
FIGURES = {
    "image_auroc": "image AUROC",
    "image_ap": "image AP",
    "pixel_auroc": "pixel AUROC",
    "pixel_ap": "pixel AP",
    "pro": "PRO",
    "pixel_f1_max": "best pixel F1",
}


def report(
    path: Path, out: Path, data: Path | None = None, progress: Progress | None = None, product: str | None = None
) -> Evaluation:
    """Writes the page about the run or bundle in `path` to `out`, and returns its figures.

    data: a folder of images, its test part where it has one; images that trained the model or picked its thresholds
    are left out. None: a run's own test images; a bundle has none. Without thresholds a run's are those that calibrate
    would set from its own calibration part, and a bundle's are picked on the very images, which the page says. product:
    whose page, of several.
    Raises ProtoresError where there is nothing to report on.
    """
    progress = progress or Progress()
    subject = Subject.open(path, product)
    images, notes = _images(subject, data, progress)
    thresholds, caveat = _thresholds(subject, images, progress)
    figures = _figures(images, subject.seen_kinds)
    root = data or subject.root
    assert root is not None
    findings = inspect(root, DataSettings(), progress=lambda a, b: progress.track("reading images", a, b))
    text = render(subject, images, figures, thresholds, caveat, [*notes, *findings.lines()])
    with writing(out.parent):
        out.parent.mkdir(parents=True, exist_ok=True)
        write_text(out, text)
    return figures


def render(
    subject: Subject,
    images: Sequence[Inspected],
    figures: Evaluation,
    thresholds: Thresholds,
    caveat: str,
    findings: Sequence[str],
) -> str:
    """The page's HTML. caveat: what is to be said of thresholds that were not calibrated, else empty."""
    cards = make_cards(list(images), subject.seen_kinds, BYTES_PER_IMAGE * max(150, len(images)))
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    own = files("protores.report")
    return environment.from_string(own.joinpath("page.html").read_text("utf-8")).render(
        product=subject.product,
        source=subject.path.name,
        images=f"{len(images)} images",
        date=date.today().isoformat(),
        version=protores.__version__,
        style=Markup(own.joinpath("page.css").read_text("utf-8")),
        script=Markup(own.joinpath("page.js").read_text("utf-8")),
        figures=figures,
        figure_titles=list(FIGURES.values()),
        figure_rows=_figure_rows(figures),
        decision=subject.decision,
        calibration=_how(subject, thresholds),
        cards=cards,
        findings=findings,
        facts=_facts(subject),
        data=_data(subject, images, cards, thresholds, caveat),
    )


def _images(subject: Subject, data: Path | None, progress: Progress) -> tuple[list[Inspected], list[str]]:
    if data is None and not subject.is_run:
        raise ProtoresError("a bundle has no images to report on; name a folder by --data")
    if data is None:
        samples = own_samples(subject, TEST)
    else:
        dataset = recognise(data)
        samples = [s for s in dataset.samples if s.part == TEST or not dataset.has_test]
    picked = images_behind(subject.decision)
    left = 0

    def wanted(record: Record) -> bool:
        nonlocal left
        if data is None:
            require_role(subject, record, TEST)
        used = subject.uses.role(record) not in (None, TEST) or record.pixels[:DIGITS] in picked
        left += used
        return not used

    found = inspect_images(subject, samples, wanted, progress)
    if not found:
        where = f"those of {data} trained or calibrated the model" if data else "the run has no test images"
        raise ProtoresError(f"no image is left to report on: {where}; name a folder of others by --data")
    note = f"{left} images that trained the model or picked its thresholds are left out here"
    return found, [note] * (left > 0)


def _thresholds(subject: Subject, images: Sequence[Inspected], progress: Progress) -> tuple[Thresholds, str]:
    """The decision's, or what stands in for them and why."""
    decision = subject.decision
    known = Thresholds.of(decision.good_below, decision.bad_above)
    if known is not None:
        return known, ""
    if subject.is_run and len(own_samples(subject, "calibration")):
        point = calibrate(subject.path, progress=progress, save=False, product=subject.among_several).point
        assert point is not None
        return point.thresholds, "No thresholds are set yet: these are what `protores calibrate` would set by itself."
    best = rank([one.score for one in images], [one.kind != GOOD for one in images]).best_f1()
    at = best.threshold if best else max(one.score for one in images)
    return Thresholds(at, at), "No thresholds are set yet: these were picked on the images shown, and flatter."


def _figures(images: Sequence[Inspected], seen_kinds: frozenset[str]) -> Evaluation:
    hidden = None
    if any(one.valid is not None for one in images):
        everywhere = np.ones(images[0].result.network_map.shape, bool)
        hidden = ~np.stack([everywhere if one.valid is None else one.valid for one in images])
    return evaluate(
        [one.score for one in images],
        [one.result.network_map for one in images],
        [one.mask for one in images],
        [one.kind for one in images],
        seen_kinds,
        hidden,
    )


def _figure_rows(figures: Evaluation) -> list[tuple[str, int | None, list[float | None]]]:
    def row(name: str, count: int | None, some: Figures) -> tuple[str, int | None, list[float | None]]:
        return name, count, [getattr(some, key) for key in FIGURES]

    parts = [row("all", figures.counts.defective, figures)]
    if len(figures.kinds) > 1:
        named = (("seen kinds", figures.seen), ("unseen kinds", figures.unseen))
        parts += [row(name, None, some) for name, some in named if some.image_auroc is not None]
    return parts + [row(kind, figures.counts.kinds[kind], some) for kind, some in figures.kinds.items()]


def _data(
    subject: Subject, images: Sequence[Inspected], cards: Sequence[Card], thresholds: Thresholds, caveat: str
) -> dict[str, Any]:
    """What the page's script works on."""
    drawn = curves(images, subject.decision.map_threshold)
    good = sum(one.kind == GOOD for one in images)
    asked = dict(zip(("false_alarms", "misses"), goals(subject.decision), strict=True))
    return {
        "source": subject.path.name,
        "product": subject.among_several,
        "thresholds": {"good_below": thresholds.good_below, "bad_above": thresholds.bad_above},
        "calibrated": not caveat,
        "caveat": caveat,
        "bounds": {"good": _bounds(good), "defects": _bounds(len(images) - good)},
        "goals": {what: {"share": share, "images": images_needed(share)} for what, share in asked.items()},
        "curves": {"roc": drawn.roc, "precision": drawn.precision, "pro": drawn.pro, "at": drawn.at},
        "images": [
            {"kind": c.kind, "group": c.group, "score": c.score, "path": c.path, "regions": _without_outlines(c)}
            for c in cards
        ],
    }


def _bounds(images: int) -> dict[str, list[float]]:
    low, high = binomial_bounds(images)
    return {"low": low.round(6).tolist(), "high": high.round(6).tolist()}


def _without_outlines(card: Card) -> list[dict[str, Any]]:
    """The regions, but for the polygons that are drawn already."""
    return [{key: value for key, value in region.items() if key != "polygon"} for region in card.regions]


def _how(subject: Subject, thresholds: Thresholds) -> str:
    decision = subject.decision
    told = {
        "good below": thresholds.good_below,
        "bad above": thresholds.bad_above,
        "map threshold": decision.map_threshold,
        "smallest region": f"{decision.min_area:g} {decision.unit}",
        "ignore mask": decision.ignore,
        "region of interest": decision.roi,
    }
    record = {k: v for k, v in (decision.calibration or {}).items() if k != "images"}
    lines = [f"{key:<20}{'none' if value is None else value}" for key, value in told.items()]
    return "\n".join([*lines, *(f"{key.replace('_', ' '):<20}{_text(value)}" for key, value in record.items())])


def _facts(subject: Subject) -> list[tuple[str, list[tuple[str, str]]]]:
    """Each part of the facts with its nested keys joined by dots."""
    return [(title, list(_flat(part, ""))) for title, part in subject.facts.items()]


def _flat(part: Any, name: str) -> Sequence[tuple[str, str]]:
    if isinstance(part, dict):
        return [row for key, value in part.items() for row in _flat(value, f"{name}.{key}" if name else str(key))]
    return [(name, _text(part))]


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key.replace('_', ' ')} {_text(own)}" for key, own in value.items())
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
