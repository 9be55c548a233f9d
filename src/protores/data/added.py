"""Images that join a product from other folders: what people on the line corrected, to train on and on nothing else.

They are drawn for nothing. Whoever corrected an image is believed: where the product holds the same pixels, the
product's own copy gives up its role, be it training, calibration or test.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from protores.data.layouts import ADDED, recognise
from protores.data.record import Record
from protores.data.sample import Dataset
from protores.errors import DataError, SplitError

_NAMED = 3


def with_added(dataset: Dataset, folders: Sequence[Path]) -> Dataset:
    """The data set and behind it all images of the folders, in any layout, whatever part that puts them in.

    Raises DataError for a folder that is the data set itself or named twice, that holds no image, or that no layout
    reads.
    """
    samples = dataset.samples
    for number, folder in enumerate(folders):
        if folder.resolve() in (dataset.root.resolve(), *(other.resolve() for other in folders[:number])):
            raise DataError(f"{folder} is read already; name each folder that is to be added once")
        found = recognise(folder, needs_good=False).samples
        if not found:
            raise DataError(f"{folder}: no images to add; put some into good/ or bad/<kind>/, or leave the folder out")
        samples += tuple(replace(sample, part=ADDED) for sample in found)
    return replace(dataset, samples=samples)


def added_roles(records: Sequence[Record]) -> tuple[list[str], list[str]]:
    """The role of each added image, and sentences that say so.

    Good ones train, defects with a mask are seen; without one (or with an empty one) they are excluded, and of exact
    copies all but one. Raises SplitError where the same pixels are good and bad.
    """
    roles = ["excluded"] * len(records)
    for group in _copies(records):
        _require_agreement([records[index] for index in group])
        first = max(group, key=lambda index: records[index].defect_pixels > 0)
        if records[first].sample.is_good:
            roles[first] = "train"
        elif records[first].defect_pixels:
            roles[first] = "seen"
    return roles, _told(records, roles)


def displaced(own: Sequence[Record], roles: Sequence[str], added: Iterable[Record]) -> tuple[list[str], list[str]]:
    """The product's own roles without the images that were added too, and what is to be said of these."""
    corrected = {record.pixels for record in added}
    left = [
        "excluded" if record.pixels in corrected else role for record, role in zip(own, roles, strict=True)
    ]
    lost = Counter(before for before, role in zip(roles, left, strict=True) if before != role)
    if not lost:
        return left, []
    spread = ", ".join(f"{count} {role}" for role, count in sorted(lost.items()))
    return left, [f"{lost.total()} images are exact copies of added ones and gave up their roles ({spread})"]


def _copies(records: Sequence[Record]) -> Iterable[list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for index, record in enumerate(records):
        groups[record.pixels].append(index)
    return groups.values()


def _require_agreement(copies: Sequence[Record]) -> None:
    one = copies[0].sample
    for other in (record.sample for record in copies):
        if other.is_good != one.is_good:
            raise SplitError(
                f"the same pixels are {one.kind} in {one.path} and {other.kind} in {other.path}; remove the wrong one"
            )


def _told(records: Sequence[Record], roles: Sequence[str]) -> list[str]:
    if not records:
        return []
    kinds = Counter(record.sample.kind for record, role in zip(records, roles, strict=True) if role == "seen")
    spread = f" ({', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))})" if kinds else ""
    notes = [f"{roles.count('train')} good and {kinds.total()} defect images{spread} were added to what trains"]
    chosen = {record.pixels for record, role in zip(records, roles, strict=True) if role != "excluded"}
    bare = [str(record.sample.path) for record in records if record.pixels not in chosen]
    if bare:
        names = ", ".join(bare[:_NAMED]) + (f" and {len(bare) - _NAMED} more" if len(bare) > _NAMED else "")
        notes.append(f"{len(bare)} added defect images without a mask are set aside, outline them to train: {names}")
    if copies := roles.count("excluded") - len(bare):
        notes.append(f"{copies} exact copies among the added images are left out")
    return notes
