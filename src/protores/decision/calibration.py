"""Thresholds for a run or a bundle, from images that trained nothing and tested nothing, and what to expect of them."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

import protores
from protores.bundle.contract import Decision
from protores.data.image import read_mask
from protores.data.layouts import recognise
from protores.data.sample import GOOD, Sample
from protores.data.store import Record
from protores.data.uses import DIGITS
from protores.decision.inspected import Inspected, inspect_images
from protores.decision.operating_point import Costs, OperatingPoint, Promise, by_budgets, by_costs, by_hand
from protores.decision.rates import Rate
from protores.decision.request import USUAL_FALSE_ALARM, USUAL_MISS, Request
from protores.decision.verdict import Thresholds
from protores.errors import ProtoresError
from protores.files import writing
from protores.progress import Progress
from protores.subject import Subject

OWN = "the run's own calibration part"


@dataclass(frozen=True)
class Calibration:
    """The decision that was set, and the rates to expect; point: None where no image was looked at.

    good, defective: how many images were; source: what they are.
    """

    decision: Decision
    point: OperatingPoint | None
    good: int
    defective: int
    source: str
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """For people."""
        if self.point is None:
            return ["the decision was changed; no rates are known for it: calibrate with images", *self.notes]
        at, point = self.point.thresholds, self.point
        zone = "nothing lies between" if at.good_below == at.bad_above else "look again between"
        lines = [
            f"calibrated on   {self.good} good and {self.defective} defective images: {self.source}",
            f"thresholds      good below {at.good_below:.4g}, bad above {at.bad_above:.4g}; {zone}",
            f"false alarms    {rate_text(point.false_alarms)}",
            f"misses          {rate_text(point.misses)}",
        ]
        if at.good_below < at.bad_above:
            shares = zip(point.looks, ("good", "defective"), strict=True)
            told = [f"{100 * share:.1f} % of the {name} images" for share, name in shares if share is not None]
            lines.append(f"look again      {' and '.join(told)}")
        promises = ((point.false_alarm_promise, "good", "false alarms"), (point.miss_promise, "defective", "misses"))
        lines += [f"                {text}" for text in (promise_text(*p) for p in promises) if text]
        return [*lines, *(f"                {note}" for note in self.notes)]


def rate_text(rate: Rate | None) -> str:
    """A rate in words."""
    if rate is None:
        return "unknown, there were no such images"
    return (
        f"{percent(rate.expected)} expected, 95 % interval {percent(rate.low)} to {percent(rate.high)} "
        f"({rate.method}; {rate.errors} of {rate.images} here)"
    )


def promise_text(promise: Promise | None, images: str, errors: str) -> str:
    """Whether a budget is promised, in a sentence; empty without a budget."""
    if promise is None:
        return ""
    if promise.kept:
        return f"at most {percent(promise.budget)} {errors} are promised with 95 % confidence"
    return (
        f"too few images: {promise.images} {images} ones can promise {errors} of at most {percent(promise.best)} here, "
        f"not {percent(promise.budget)}; that takes {promise.needed}, none of them beyond the threshold"
    )


def percent(share: float) -> str:
    """A share for people: 0.0123 is 1.2 %."""
    return f"{100 * share:.2f} %" if 0 < share < 0.001 else f"{100 * share:.1f} %"


def calibrate(
    path: Path,
    data: Path | None = None,
    request: Request | None = None,
    progress: Progress | None = None,
    save: bool = True,
    product: str | None = None,
) -> Calibration:
    """Sets the thresholds, and what else is asked for, of a run or a bundle: in decision.json or contract.json.

    data: images in any layout that training reads. Those that trained or tested the model are left out. None: a run's
    own calibration part; for a bundle the decision is only changed as asked. save: write it down. product: whose, where
    there are several. Raises ProtoresError where there is nothing to calibrate by, and as reading images does.
    """
    request, progress = request or Request(), progress or Progress()
    subject = changed(Subject.open(path, product), request)
    found, source, notes = _images(subject, data, request, progress)
    point = _point(found, request) if found else None
    decision = subject.decision
    if point is not None or request.by_hand:
        at = point.thresholds if point else Thresholds.of(request.good_below, request.bad_above)
        assert at is not None
        record = None if point is None else _record(point, request, source, notes, found)
        update = {"good_below": at.good_below, "bad_above": at.bad_above, "calibration": record}
        decision = decision.model_copy(update=update)
    elif decision.good_below is not None:
        notes = (*notes, "thresholds and rates are those of before the change")
    if save:
        with writing(path):
            subject.deciding(decision, *subject.procedure.masks).save()
    good = sum(one.kind == GOOD for one in found)
    return Calibration(decision, point, good, len(found) - good, source, notes)


def changed(subject: Subject, request: Request) -> Subject:
    """The subject with the areas and masks that are asked for."""
    update: dict[str, Any] = {}
    if request.map_threshold is not None:
        update["map_threshold"] = request.map_threshold
    if request.mm_per_px is not None:
        update["mm_per_px"] = request.mm_per_px
    if request.min_area is not None:
        scale = request.mm_per_px or subject.decision.mm_per_px
        update |= {"min_area": request.min_area, "unit": "px" if scale is None else "mm2"}
    decision = subject.decision.model_copy(update=update)
    if decision.min_area and decision.map_threshold is None:
        raise ProtoresError("a smallest area needs a map threshold that outlines regions; pass --map-threshold")
    ignore, roi = subject.procedure.masks
    ignore = ignore if request.ignore is None else read_mask(request.ignore)
    roi = roi if request.roi is None else read_mask(request.roi)
    return subject.deciding(decision, ignore, roi)


def images_behind(decision: Decision) -> frozenset[str]:
    """The digests (as in Uses) of the images that picked the thresholds."""
    images = (decision.calibration or {}).get("images")
    return frozenset(images.split()) if isinstance(images, str) else frozenset()


def goals(decision: Decision) -> tuple[float, float]:
    """The false-alarm and miss rates that were asked for, else the usual ones."""
    asked = (decision.calibration or {}).get("asked")
    known = asked if isinstance(asked, dict) else {}
    alarm, miss = (known.get(key) for key in ("max_false_alarm", "max_miss"))
    return (
        alarm if isinstance(alarm, float) and 0 < alarm < 1 else USUAL_FALSE_ALARM,
        miss if isinstance(miss, float) and 0 < miss < 1 else USUAL_MISS,
    )


def own_samples(subject: Subject, role: str) -> list[Sample]:
    """A run's own images in a role, where they lay in training. Raises ProtoresError where they are gone."""
    assert subject.split is not None
    if subject.root is None or not subject.root.is_dir():
        raise ProtoresError(f"the images of {subject.path} are not in {subject.root} any more; name a folder by --data")
    entries = {entry.path: entry for entry in subject.split.entries if entry.role == role}
    dataset = recognise(subject.root)
    return [s for s in dataset.samples if s.path.relative_to(dataset.root).as_posix() in entries]


def require_role(subject: Subject, record: Record, role: str) -> None:
    """Raises ProtoresError where an image of a run's own is not any more what it was in training."""
    if subject.uses.role(record) != role:
        raise ProtoresError(f"{record.sample.path} changed since training; restore it, or name a folder by --data")


def _images(
    subject: Subject, data: Path | None, request: Request, progress: Progress
) -> tuple[list[Inspected], str, tuple[str, ...]]:
    """The images to calibrate by, what they are, and what is to be said of them."""
    if data is None and (request.changes_only or request.by_hand):
        return [], "", ()
    if data is None and not subject.is_run:
        raise ProtoresError("a bundle has no images to calibrate by; name a folder by --data")
    if data is None:
        samples, source = own_samples(subject, "calibration"), OWN
    else:
        samples, source = list(recognise(data).samples), data.resolve().name
    met: set[str] = set()
    used = copies = 0

    def wanted(record: Record) -> bool:
        nonlocal used, copies
        if data is None:
            require_role(subject, record, "calibration")
        if subject.uses.role(record) not in (None, "calibration"):
            used += 1
            return False
        copies += record.pixels in met
        return not (record.pixels in met or met.add(record.pixels))

    found = inspect_images(subject, samples, wanted, progress)
    notes = [f"{used} images that trained or tested the model were left out"] * (used > 0)
    notes += [f"{copies} exact copies of other images were left out"] * (copies > 0)
    notes += _reservations(subject, data, request, found)
    if not found:
        where = "the run kept none out of training" if data is None else f"those of {data} trained or tested the model"
        raise ProtoresError(f"no image is left to calibrate by: {where}; name a folder of others by --data")
    return found, source, tuple(notes)


def _reservations(
    subject: Subject, data: Path | None, request: Request, found: Sequence[Inspected]
) -> Iterator[str]:
    """What weakens the rates, to be said."""
    if not subject.uses.roles:
        yield "the bundle does not tell which images trained it; make sure that none of these did"
    if data is None and subject.decision.min_area:
        yield "the map threshold, on which the smallest area depends, was picked on these images too"
    if request.by_costs and request.defect_rate is None and found:
        share = sum(one.kind != GOOD for one in found) / len(found)
        yield f"the share of defects here, {percent(share)}, stands for that of production; give yours by --defect-rate"


def _point(found: Sequence[Inspected], request: Request) -> OperatingPoint:
    good = np.array([one.score for one in found if one.kind == GOOD])
    defects = np.array([one.score for one in found if one.kind != GOOD])
    if request.by_hand:
        thresholds = Thresholds.of(request.good_below, request.bad_above)
        assert thresholds is not None
        return by_hand(thresholds, good, defects)
    if request.cost_miss is not None and request.cost_false_alarm is not None:
        rate = request.defect_rate or len(defects) / len(found)
        if not len(defects) or not len(good):
            rate = 0.5  # by_costs says what is missing
        return by_costs(good, defects, Costs(request.cost_miss, request.cost_false_alarm, rate, request.cost_look))
    return by_budgets(good, defects, *request.budgets)


def _record(
    point: OperatingPoint, request: Request, source: str, notes: Sequence[str], found: Sequence[Inspected]
) -> dict[str, Any]:
    """How the thresholds came about, for contract.json (docs/thresholds.md)."""
    asked = {
        key: value for key, value in asdict(request).items() if value is not None and not isinstance(value, Path)
    }
    if not (request.by_hand or request.by_costs or request.by_budgets):
        asked |= dict(zip(("max_false_alarm", "max_miss"), request.budgets, strict=True))
    parts = {
        "false_alarms": point.false_alarms,
        "misses": point.misses,
        "false_alarm_promise": point.false_alarm_promise,
        "miss_promise": point.miss_promise,
    }
    return {
        "asked": asked,
        "source": source,
        "good": sum(one.kind == GOOD for one in found),
        "defective": sum(one.kind != GOOD for one in found),
        **{key: None if part is None else part.to_dict() for key, part in parts.items()},
        "look_again": list(point.looks),
        "notes": list(notes),
        "date": date.today().isoformat(),
        "protores": protores.__version__,
        "images": " ".join(sorted({one.record.pixels[:DIGITS] for one in found})),
    }
