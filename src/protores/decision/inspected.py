"""Labelled images and what was found in them: what thresholds are picked from and reports are made of."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protores.data.image import resize_mask, shrink
from protores.data.record import Loaded, Record, load
from protores.data.sample import Sample
from protores.data.store import in_parallel
from protores.progress import Progress
from protores.runtime.procedure import BATCH
from protores.runtime.result import Result
from protores.subject import Subject


@dataclass(frozen=True, eq=False)
class Inspected:
    """picture: the image, uint8 RGB, at most PICTURE pixels on its longer side. mask: uint8 {0, 1} at the network's
    size, None where there is no mask file. valid: bool at that size, where it counts; None: everywhere."""

    record: Record
    picture: NDArray[np.uint8]
    mask: NDArray[np.uint8] | None
    valid: NDArray[np.bool_] | None
    result: Result

    @property
    def kind(self) -> str:
        return self.record.sample.kind

    @property
    def score(self) -> float:
        return self.result.score


PICTURE = 384


def inspect_images(
    subject: Subject, samples: Sequence[Sample], wanted: Callable[[Record], bool], progress: Progress
) -> list[Inspected]:
    """What the subject finds in the samples that are wanted, in their order.

    Raises UnreadableImage for a file that cannot be read, DataError for a mask of another size than its image.
    """
    found: list[Inspected] = []
    depth = subject.procedure.image.bit_depth
    for start in range(0, len(samples), BATCH):
        few = samples[start : start + BATCH]
        loaded = in_parallel(lambda sample: load(sample, depth), few)
        found += _inspect(subject, [one for one in loaded if wanted(one.record)])
        progress.track("inspecting images", start + len(few), len(samples))
    return found


def _inspect(subject: Subject, loaded: Sequence[Loaded]) -> Iterator[Inspected]:
    """For at most a batch of images."""
    if not loaded:
        return
    procedure = subject.procedure
    size, keep_aspect = procedure.image.size, procedure.image.keep_aspect
    maps = procedure.run(subject.engine, [procedure.prepare(one.image) for one in loaded])
    for one, anomaly_map in zip(loaded, maps, strict=True):
        shape = one.image.shape[:2]
        yield Inspected(
            one.record,
            shrink(one.image, PICTURE),
            None if one.mask is None else resize_mask(one.mask, size, keep_aspect),
            procedure.valid(shape),
            procedure.finish(shape, anomaly_map),
        )
