"""Masks: missing, empty, inverted, gray."""

from collections.abc import Iterator

from protores.data.findings import Problem, these
from protores.data.look import MaskLook
from protores.data.record import Record
from protores.data.scan import Scan

_MOSTLY = 0.9
_DOUBTFUL = 0.1


def masks(scan: Scan) -> Iterator[Problem]:
    """Masks that say something else than where the defect is. Their sizes are told when they are read."""
    found: dict[str, list[Record]] = {}
    for record, look in scan.pairs():
        rule = _rule(record, look.mask)
        if rule is not None:
            found.setdefault(rule, []).append(record)
    for rule, records in found.items():
        message = _TOLD[rule].format(these=these(records))
        yield Problem.of(rule, [record.sample.mask or record.sample.path for record in records], message)


def _rule(record: Record, mask: MaskLook | None) -> str | None:
    if record.sample.is_good:
        return None
    if mask is None:
        return "mask-missing"
    if mask.doubtful > _DOUBTFUL * max(1, record.defect_pixels):
        return "mask-gray"
    if record.defect_pixels == 0:
        return "mask-empty"
    if 2 * record.defect_pixels > record.height * record.width:
        return "mask-inverted" if mask.border > _MOSTLY else "mask-large"
    return None


_TOLD = {
    "mask-missing": "no mask for {these}",
    "mask-gray": "gray values, of which those from half up count as defect, in {these}",
    "mask-empty": "nothing is outlined in {these}",
    "mask-inverted": "all but a part inside is defect, as if inverted, in {these}",
    "mask-large": "more than half is defect in {these}",
}
