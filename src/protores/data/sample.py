"""What an inspection image is to the rest of the program."""

from dataclasses import dataclass
from pathlib import Path

GOOD = "good"


@dataclass(frozen=True)
class Sample:
    """One image file of a data set.

    kind is "good" or the name of a defect; part is the half the layout puts it in, "train" or "test", or "added" for an
    image that joins the product from another folder. mask is the file that outlines the defect, None for good images
    and for defects without one.
    """

    path: Path
    kind: str
    part: str
    mask: Path | None = None

    @property
    def is_good(self) -> bool:
        return self.kind == GOOD


@dataclass(frozen=True)
class Dataset:
    """All images under one root, as one layout reads them.

    has_test says that the layout itself divides training from test (MVTec AD, BTAD, ...); without it
    (plain folders) the split is drawn. layout is the name shown to users. notes are one-line remarks
    about how the folders were read.
    """

    root: Path
    layout: str
    samples: tuple[Sample, ...]
    has_test: bool
    notes: tuple[str, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """The names of the defect kinds, sorted."""
        return tuple(sorted({s.kind for s in self.samples if not s.is_good}))
