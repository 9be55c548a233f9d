"""Which image plays which role, and the proof that none plays two.

The protocol of the setting (a few seen defects, spread over the kinds, that leave the test set) is that of
DRA (Ding et al., CVPR 2022) and PRN; what leaks in public code is closed here: exact copies of an image that
trained or calibrated leave the test set too, and evaluation refuses a training image by its content.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from protores.data.added import added_roles, displaced
from protores.data.layouts import ADDED, TEST, TRAIN
from protores.data.sample import GOOD
from protores.data.store import Record
from protores.errors import SplitError
from protores.settings import SplitSettings

ROLES = ("train", "seen", "calibration", "test", "excluded")
TRAINING = ("train", "seen")
"""The roles of images that the weights are learnt from."""
USUAL_SEEN = 10
_LEAST_GOOD_TO_CALIBRATE = 10
_LEAST_SEEN_TO_CALIBRATE = 20


@dataclass(frozen=True)
class Entry:
    """One image's role. path is relative to the data set's root, with "/", and whole for an image that was added from
    another folder; sha256, pixels as in Record."""

    path: str
    kind: str
    role: str
    sha256: str
    pixels: str


@dataclass(frozen=True)
class Split:
    """The roles of all images, in the order of the records they were drawn from.

    "train": good, trains the network and makes the prototypes. "seen": defects that train. "calibration":
    good images (and seen defects) kept out of training to pick and calibrate by. "test": judged at the end.
    "excluded": plays no role. notes are sentences that say what was drawn and taken out.
    """

    entries: tuple[Entry, ...]
    notes: tuple[str, ...] = ()

    def indices(self, role: str) -> np.ndarray:
        """Positions (int64, ascending) of the images in a role, one of ROLES."""
        if role not in ROLES:
            raise ValueError(f"no such role: {role}")
        return np.array([i for i, entry in enumerate(self.entries) if entry.role == role], np.int64)

    @property
    def hash(self) -> str:
        """sha256 over every image's content and role, whatever its path and order."""
        pairs = sorted((entry.role, entry.sha256) for entry in self.entries)
        return hashlib.sha256(json.dumps(pairs, separators=(",", ":")).encode()).hexdigest()

    @property
    def seen_kinds(self) -> set[str]:
        """The kinds of the defects that train."""
        return {entry.kind for entry in self.entries if entry.role == "seen"}

    @property
    def counts(self) -> dict[str, int]:
        """The number of images by role."""
        counts = Counter(entry.role for entry in self.entries)
        return {role: counts[role] for role in ROLES}

    def of(self, product: str) -> "Split":
        """One product's images of a split of several (protores.products), by the paths that they have there."""
        head = f"{product}/"
        own = [replace(entry, path=entry.path[len(head) :]) for entry in self.entries if entry.path.startswith(head)]
        return Split(tuple(own), tuple(note for note in self.notes if note.startswith(f"{product}: ")))

    def to_json(self) -> str:
        """JSON text with the hash, the notes, the number of images by role, and every image."""
        content = {
            "hash": self.hash,
            "counts": self.counts,
            "notes": list(self.notes),
            "images": [asdict(entry) for entry in self.entries],
        }
        return json.dumps(content, indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Split":
        """What to_json wrote. Raises SplitError where the text is no split or was changed by hand."""
        try:
            content = json.loads(text)
            split = cls(tuple(Entry(**image) for image in content["images"]), tuple(content["notes"]))
            written = content["hash"]
            texts = (*split.notes, *(text for entry in split.entries for text in asdict(entry).values()))
            if not all(isinstance(text, str) for text in texts) or any(e.role not in ROLES for e in split.entries):
                raise ValueError("texts and roles are expected")
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise SplitError("this is not a split.json; train again, or restore the file") from error
        if written != split.hash:
            raise SplitError("split.json was changed after training; restore the file, or train again")
        return split


def make_split(
    records: Sequence[Record], has_test: bool, settings: SplitSettings, seed: int, root: Path
) -> Split:
    """Draw every image's role; the same records, settings and seed give the same split.

    With has_test, test images are the layout's, less the seen and all exact copies (same pixels) of images
    that train or calibrate. Without, settings.test of the good images and all unseen defects are. Copies of a
    good image share its role. settings.seen of None is USUAL_SEEN, or half of what there is if that is less; "all" is
    all there are.
    Seen defects need a mask that is not empty; they come from the layout's train part where that has defects (DAGM,
    KolektorSDD2: its other defects are then excluded). N seen are
    N different images, as many of each kind as can be; calibration takes its share out of these N.
    Images that were added (protores.data.added) train beyond all that, and the others are drawn as without them.
    Raises SplitError: no good images to train from, unknown kinds, more seen than there are.
    """
    own = [record for record in records if record.sample.part != ADDED]
    added = [record for record in records if record.sample.part == ADDED]
    draw = _Draw(own, has_test, settings, np.random.default_rng(seed))
    draw.good()
    draw.seen()
    draw.rest()
    joined, joining = added_roles(added)
    left, leaving = displaced(own, draw.roles, added)
    of_added, of_own = iter(joined), iter(left)
    roles = [next(of_added if record.sample.part == ADDED else of_own) for record in records]
    entries = tuple(
        Entry(_path(record, root), record.sample.kind, role, record.sha256, record.pixels)
        for record, role in zip(records, roles, strict=True)
    )
    return Split(entries, (*draw.notes, *joining, *leaving))


def refuse_trained(split: Split, records: Iterable[Record]) -> None:
    """Raise SplitError, naming the first few, if any of records trained the model ("train" or "seen").

    Compared by content, the file's bytes or its pixels, so that a renamed or re-saved copy is refused too.
    """
    trained = [entry for entry in split.entries if entry.role in TRAINING]
    contents = {entry.sha256 for entry in trained} | {entry.pixels for entry in trained}
    found = [str(r.sample.path) for r in records if r.sha256 in contents or r.pixels in contents]
    if found:
        names = ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
        raise SplitError(f"these images trained the model: {names}; evaluate on images it has not seen")


def _path(record: Record, root: Path) -> str:
    path = record.sample.path
    return (path if record.sample.part == ADDED else path.relative_to(root)).as_posix()


class _Draw:
    """The roles while they are being drawn; None = not yet."""

    def __init__(
        self, records: Sequence[Record], has_test: bool, settings: SplitSettings, rng: np.random.Generator
    ) -> None:
        self.records = records
        self.has_test = has_test
        self.settings = settings
        self.rng = rng
        self.roles: list[str] = ["excluded"] * len(records)
        self.notes: list[str] = []

    def good(self) -> None:
        """Divide the good images that the layout does not test on into train, calibration (and test)."""
        own = [i for i, r in enumerate(self.records) if r.sample.is_good and not self._is_test(r)]
        groups = self._groups(own)
        if not self.has_test:
            tested = self._take(groups, round(self.settings.test * len(own)))
            self._give(tested, TEST)
            self.notes.append(f"{sum(map(len, tested))} of {len(own)} good images were drawn for the test")
        left = sum(map(len, groups))
        if left == 0:
            raise SplitError("there are no good images to train from; put some into the training folder")
        if left >= _LEAST_GOOD_TO_CALIBRATE and self.settings.calibration > 0:
            kept = self._take(groups, max(1, round(self.settings.calibration * left)))
            self._give(kept, "calibration")
            count = sum(map(len, kept))
            self.notes.append(f"{count} of {left} good images are kept out of training for calibration")
        self._give(groups, TRAIN)

    def seen(self) -> None:
        """Draw the seen defects, one image of each group of copies, evenly over the kinds."""
        by_kind = self._candidates()
        there_are = sum(map(len, by_kind.values()))
        wanted = self.settings.seen
        if wanted is None:
            wanted = min(USUAL_SEEN, there_are // 2)
        if wanted == "all":
            wanted = there_are
        if wanted > there_are:
            raise SplitError(self._too_many(by_kind, there_are))
        if wanted == 0:
            return
        drawn = self._evenly(by_kind, wanted)
        held = round(self.settings.calibration * wanted) if wanted >= _LEAST_SEEN_TO_CALIBRATE else 0
        chosen = defaultdict(list)
        for index in drawn:
            chosen[self.records[index].sample.kind].append(index)
        calibrating = set(self._evenly(chosen, held))
        for index in drawn:
            self.roles[index] = "calibration" if index in calibrating else "seen"
        kinds = Counter(self.records[index].sample.kind for index in drawn)
        spread = ", ".join(f"{kinds[kind]} {kind}" for kind in sorted(kinds))
        note = f"{wanted} defect images are seen ({spread})"
        if any(self._is_test(self.records[index]) for index in drawn):
            note += " and left the test set"
        if held:
            note += f"; {held} of them are kept out of training for calibration"
        self.notes.append(note)

    def rest(self) -> None:
        """Test on everything else that may be tested on; exclude copies of what trained or calibrates."""
        used = {
            record.pixels: role
            for record, role in zip(self.records, self.roles, strict=True)
            if role in ("train", "seen", "calibration")
        }
        copies = surplus = 0
        for index, record in enumerate(self.records):
            if self.roles[index] not in ("excluded", "test"):
                continue
            tested = self._is_test(record) or not (self.has_test or record.sample.is_good)
            if record.pixels in used:
                self.roles[index] = "excluded"
                copies += 1
            elif tested or self.roles[index] == "test":
                self.roles[index] = "test"
            else:
                surplus += 1
        if copies:
            self.notes.append(f"{copies} exact copies of training or calibration images are excluded")
        if surplus:
            self.notes.append(f"{surplus} defect images of the training part were not drawn and are excluded")

    def _is_test(self, record: Record) -> bool:
        return self.has_test and record.sample.part == TEST

    def _groups(self, indices: Iterable[int]) -> list[list[int]]:
        """Indices of equal pixels together, the groups in a drawn order."""
        groups: dict[str, list[int]] = defaultdict(list)
        for index in indices:
            groups[self.records[index].pixels].append(index)
        found = list(groups.values())
        return [found[i] for i in self.rng.permutation(len(found))]

    def _take(self, groups: list[list[int]], count: int) -> list[list[int]]:
        """Remove groups from the list until count images are taken, never more; at least one is left there.

        Where every group is larger than count, the smallest is taken.
        """
        taken, total = [], 0
        for group in list(groups):
            if total + len(group) <= count and len(groups) > 1:
                groups.remove(group)
                taken.append(group)
                total += len(group)
        if count > 0 and not taken and len(groups) > 1:
            taken.append(min(groups, key=len))
            groups.remove(taken[0])
        return taken

    def _give(self, groups: Iterable[list[int]], role: str) -> None:
        for group in groups:
            for index in group:
                self.roles[index] = role

    def _candidates(self) -> dict[str, list[int]]:
        """Defects that can train, by kind, in a drawn order, one image of each group of copies."""
        defects = [i for i, record in enumerate(self.records) if not record.sample.is_good]
        kinds = {self.records[i].sample.kind for i in defects}
        wanted = kinds if self.settings.seen_kinds is None else set(self.settings.seen_kinds)
        if unknown := sorted(wanted - kinds):
            there = ", ".join(sorted(kinds)) or "no defects"
            raise SplitError(f"no such kind: {', '.join(unknown)}; there are {there}")
        if self.has_test and any(self.records[i].sample.part == TRAIN for i in defects):
            defects = [i for i in defects if self.records[i].sample.part == TRAIN]
        good = {record.pixels for record in self.records if record.sample.kind == GOOD}
        by_kind: dict[str, list[int]] = {kind: [] for kind in sorted(wanted)}
        usable = (
            i
            for i in defects
            if self.records[i].sample.kind in wanted
            and self.records[i].defect_pixels > 0
            and self.records[i].pixels not in good
        )
        for group in self._groups(usable):
            by_kind[self.records[group[0]].sample.kind].append(group[0])
        return by_kind

    def _evenly(self, by_kind: Mapping[str, Sequence[int]], count: int) -> list[int]:
        """count indices, one of each kind in turn, the kinds in a drawn order, until kinds run out."""
        names = sorted(by_kind)
        order = [names[i] for i in self.rng.permutation(len(names))]
        longest = max(map(len, by_kind.values()), default=0)
        turns = [
            by_kind[kind][turn] for turn in range(longest) for kind in order if turn < len(by_kind[kind])
        ]
        return turns[:count]

    def _too_many(self, by_kind: Mapping[str, Sequence[int]], there_are: int) -> str:
        kinds = ", ".join(f"{len(found)} {kind}" for kind, found in by_kind.items()) or "no defects"
        unmasked = sum(not r.sample.is_good and r.defect_pixels == 0 for r in self.records)
        without = f"; {unmasked} more have no mask or an empty one" if unmasked else ""
        return (
            f"{self.settings.seen} seen defects were asked for but {there_are} can train ({kinds}{without}); "
            f"use --seen {there_are} or fewer"
        )
