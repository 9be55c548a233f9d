"""What a check found: problems, each under its rule's name, and the counts of what there is; as text and as JSON."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from protores.data.record import Record
from protores.data.sample import Dataset
from protores.errors import DataError

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
VERSION = 1
"""Of the JSON; a field that is new does not change it."""
NAMED = 3
SHOWN = 5
"""Problems of one rule that are shown as text; JSON has all."""


class Rule(NamedTuple):
    """An "error" stops training, a "warning" costs accuracy or honesty of the figures, a "note" neither."""

    severity: Severity
    cure: str


RULES: dict[str, Rule] = {
    "empty-file": Rule("error", "copy it again from its source, or leave such files out with --skip-bad"),
    "truncated": Rule("error", "copy it again from its source, or leave such files out with --skip-bad"),
    "unreadable": Rule("error", "copy it again from its source, or leave such files out with --skip-bad"),
    "name": Rule("error", "rename it in plain letters"),
    "mask-size": Rule("error", "export the mask at the image's size"),
    "mask-orphan": Rule("error", "add the image or remove the mask"),
    "left-out": Rule("warning", "copy it again from its source"),
    "not-read": Rule("warning", "save it as PNG, or give it the ending of what it is"),
    "animated": Rule("warning", "save the picture that counts as a file of its own"),
    "cmyk": Rule("warning", "save them as RGB: inks become colours by rule of thumb"),
    "palette": Rule("note", "save true colours if the camera gives them"),
    "16-bit": Rule("note", "set data.bit_depth if the camera gives another number"),
    "exif-rotated": Rule("note", "masks have to fit the upright image"),
    "wrong-ending": Rule("note", "rename it: other programs may go by the ending"),
    "mask-missing": Rule("warning", "outline them to train with them and to measure localisation"),
    "mask-empty": Rule("warning", "outline the defect, or move the image to the good ones"),
    "mask-inverted": Rule("warning", "invert it: defects are white, the rest is black"),
    "mask-large": Rule("warning", "check that defects are white and the rest is black"),
    "mask-gray": Rule("warning", "export masks with two values, black and white"),
    "copy-contradictory": Rule("warning", "remove the wrong one"),
    "copy-across": Rule("warning", "a split excludes such copies from the test"),
    "copy": Rule("note", "a split keeps copies together"),
    "near-copy": Rule("warning", "keep one of them, or both in the same part: the test is to hold new images"),
    "mixed-shapes": Rule("warning", "they are stretched to one; data.keep_aspect=true keeps their proportions"),
    "mixed-sizes": Rule("note", "all are resized to one"),
    "mixed-depths": Rule("warning", "make sure that the same camera setting made them"),
    "mixed-colours": Rule("warning", "gray ones are read as colour; better convert all to one"),
    "few-good": Rule("warning", "add more, 20 at least"),
    "few-tested": Rule("note", "add more, 10 at least: figures of fewer say little"),
    "no-defects": Rule("note", "train with --seen 0; nothing can be measured"),
    "light-drift": Rule("warning", "photograph both under the same light and camera settings, or mix them"),
    "light-of-defects": Rule("note", "make sure that it is the defect and not the lamp that differs"),
    "suspect": Rule("warning", "look at it, and move it to the defects if it is one"),
    "look-first": Rule("note", "if you look through the good images, begin here"),
}
"""Every rule: how bad it is, and what to do (docs/check.md says what is looked for)."""


@dataclass(frozen=True)
class Problem:
    """One thing to know or to mend. rule: a key of RULES. paths: the files concerned; empty: the whole data set."""

    rule: str
    severity: Severity
    paths: tuple[Path, ...]
    message: str
    cure: str

    @classmethod
    def of(cls, rule: str, paths: Sequence[Path], message: str, cure: str | None = None) -> "Problem":
        """Severity and, unless there is a better one, the cure are the rule's."""
        severity, usual = RULES[rule]
        return cls(rule, severity, tuple(paths), message, cure or usual)

    def __str__(self) -> str:
        return f"{self.severity}: {self.where}{self.message}; {self.cure}"

    @property
    def where(self) -> str:
        """The first file as a message begins with it."""
        return f"{self.paths[0]}: " if self.paths else ""


@dataclass(frozen=True)
class Count:
    """How many images of a kind one part holds, and how many of them have a mask."""

    part: str
    kind: str
    images: int
    masks: int


@dataclass(frozen=True)
class Findings:
    """All that a check found.

    sizes (height, width), bits and channels come each with its number of images, most first;
    bit_depth is how many bits of 16-bit files are used, None where there are none. problems: the worst first.
    """

    dataset: Dataset
    counts: tuple[Count, ...]
    sizes: tuple[tuple[tuple[int, int], int], ...]
    bits: tuple[tuple[int, int], ...]
    channels: tuple[tuple[int, int], ...]
    bit_depth: int | None
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def has_errors(self) -> bool:
        return bool(self.errors)

    def lines(self) -> list[str]:
        """The findings as plain text, a line each."""
        dataset = self.dataset
        division = "with its own test part" if dataset.has_test else "the test part is drawn"
        found = [f"{dataset.root}: {dataset.layout} layout, {division}"]
        found += [f"{c.part} {c.kind}: {c.images} images, {c.masks} masks" for c in self.counts]
        found.append("sizes: " + ", ".join(f"{w} x {h} ({n})" for (h, w), n in self.sizes[:NAMED]))
        found.append("bits: " + ", ".join(f"{bits} ({n})" for bits, n in self.bits))
        if self.bit_depth is not None:
            found.append(f"16-bit files are read as {self.bit_depth} bits deep")
        found.append("channels: " + ", ".join(f"{channels} ({n})" for channels, n in self.channels))
        return [*found, *dataset.notes, *self.problem_lines()]

    def problem_lines(self) -> Iterator[str]:
        """The problems, a line each; of many under one rule the first few, and how many more there are."""
        counts = Counter(problem.rule for problem in self.problems)
        told: Counter[str] = Counter()
        for problem in self.problems:
            told[problem.rule] += 1
            if told[problem.rule] <= SHOWN:
                yield str(problem)
            elif told[problem.rule] == SHOWN + 1:
                more = counts[problem.rule] - SHOWN
                yield f"{problem.severity}: {more} more of the same ({problem.rule}); `protores check --json` has all"

    def refuse_errors(self) -> None:
        """Raise DataError with the first of the errors, and how many there are, if there is one."""
        if self.errors:
            first, more = self.errors[0], len(self.errors) - 1
            others = f" (and {more} more errors, which `protores check` lists)" if more else ""
            raise DataError(f"{first.where}{first.message}{others}; {first.cure}")

    def to_json(self) -> dict[str, Any]:
        """The same for programs; docs/check.md has its fields. Paths below the data set's root are relative to it."""
        root = self.dataset.root
        return {
            "version": VERSION,
            "root": str(root),
            "layout": self.dataset.layout,
            "has_test": self.dataset.has_test,
            "counts": [asdict(count) for count in self.counts],
            "sizes": [{"height": h, "width": w, "images": n} for (h, w), n in self.sizes],
            "bits": [{"bits": bits, "images": n} for bits, n in self.bits],
            "channels": [{"channels": channels, "images": n} for channels, n in self.channels],
            "bit_depth": self.bit_depth,
            "notes": list(self.dataset.notes),
            "problems": [
                {
                    "rule": problem.rule,
                    "severity": problem.severity,
                    "paths": [_relative(path, root) for path in problem.paths],
                    "message": problem.message,
                    "cure": problem.cure,
                }
                for problem in self.problems
            ],
        }


def these(records: Sequence[Record]) -> str:
    """Images as a message names them: their number and the first few names."""
    names = ", ".join(record.sample.path.name for record in records[:NAMED])
    more = f" and {len(records) - NAMED} more" if len(records) > NAMED else ""
    return f"{len(records)} images ({names}{more})"


def _relative(path: Path, root: Path) -> str:
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()
