"""Names from outside: as they may be shown, as they may be in an export, and what a kind may be called."""

import re
import unicodedata

from protores.data.sample import GOOD
from protores.station.refusal import Refusal

LONGEST = 200
LONGEST_KIND = 60
_FORBIDDEN = re.compile(r'[\\/:*?"<>|,]')
"""Separators, and the comma between kinds on the command line."""
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?$", re.IGNORECASE)
"""Names that Windows keeps for itself."""


def shown(name: str) -> str:
    """A name without what does not print, cut to a length."""
    return "".join(letter for letter in name if letter.isprintable())[:LONGEST]


def file_stem(name: str) -> str:
    """What is left of a file's name for a stem: ASCII letters, digits, dots, - and _; may be empty."""
    last = re.split(r"[\\/]", name)[-1]
    plain = unicodedata.normalize("NFKD", last).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "_", plain).rpartition(".")[0].strip("._-")[:60]


def checked_kind(kind: str | None) -> str | None:
    """A kind of defect, which is a folder's name in the export. Raises Refusal for one that cannot be."""
    kind = None if kind is None else kind.strip()
    if not kind:
        return None
    wrong = (
        len(kind) > LONGEST_KIND
        or not kind.isprintable()
        or _FORBIDDEN.search(kind)
        or kind.startswith((".", "-", "=", "+", "@"))  # hidden, an option, a spreadsheet's formula
        or kind.endswith(".")
        or _DEVICES.match(kind)
        or kind.casefold() == GOOD
    )
    if wrong:
        raise Refusal(
            422,
            f"the kind {shown(kind)[:LONGEST_KIND]!r} cannot be a folder's name; take up to {LONGEST_KIND} letters, "
            "digits, spaces, - or _",
        )
    return unicodedata.normalize("NFC", kind)
