"""What a model has met each image as, known by content alone: 16 hexadecimal digits of its two hashes.

It goes where the split with its paths does not: into a bundle, so that there too no image is judged on, or picks a
threshold, that trained.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from protores.data.record import Record
from protores.data.splits import Split
from protores.errors import DataError

ROLES = ("train", "seen", "calibration", "test")
DIGITS = 16


@dataclass(frozen=True)
class Uses:
    """The role of each image by the first digits of its hashes (sha256 and pixels, as in Record)."""

    roles: Mapping[str, str]

    @classmethod
    def of(cls, split: Split) -> Self:
        """The roles of a split; excluded images have none."""
        entries = [entry for entry in split.entries if entry.role in ROLES]
        return cls({digest[:DIGITS]: entry.role for entry in entries for digest in (entry.sha256, entry.pixels)})

    def role(self, record: Record) -> str | None:
        """What an image was used as, or None. A renamed or re-saved copy counts as the image."""
        return self.roles.get(record.pixels[:DIGITS]) or self.roles.get(record.sha256[:DIGITS])

    def to_json(self) -> str:
        """JSON text: the digests of each role, sorted."""
        digests = {role: sorted(d for d, own in self.roles.items() if own == role) for role in ROLES}
        return json.dumps(digests, separators=(",", ":")) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """What to_json wrote. Raises DataError where it is not."""
        try:
            content = json.loads(text)
            return cls({str(digest): role for role in ROLES for digest in content[role]})
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise DataError("this list of used images is damaged; restore the file, or export anew") from error
