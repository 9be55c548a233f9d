"""A data set with all its files looked at: what the finders search for problems."""

from collections.abc import Iterator
from dataclasses import dataclass

from protores.data.layouts import Survey
from protores.data.look import Look
from protores.data.record import Record, Skipped
from protores.data.sample import Dataset
from protores.settings import DataSettings


@dataclass(frozen=True, eq=False)
class Scan:
    """records and looks belong together, in the order of the samples; skipped: the samples that cannot be used.

    settings: with the bit depth that was found. skip_bad: the user wants to go on without files that cannot be read.
    """

    survey: Survey
    records: tuple[Record, ...]
    looks: tuple[Look, ...]
    skipped: tuple[Skipped, ...]
    settings: DataSettings
    skip_bad: bool = False

    @property
    def dataset(self) -> Dataset:
        return self.survey.dataset

    def pairs(self) -> Iterator[tuple[Record, Look]]:
        return zip(self.records, self.looks, strict=True)
