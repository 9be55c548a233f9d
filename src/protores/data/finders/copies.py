"""Exact copies: images with the same decoded pixels."""

from collections import defaultdict
from collections.abc import Iterator

from protores.data.findings import Problem, these
from protores.data.layouts import TEST, TRAIN
from protores.data.record import Record
from protores.data.scan import Scan


def copies(scan: Scan) -> Iterator[Problem]:
    """The same pixels as good and bad, in training and test, or twice anywhere."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in scan.records:
        groups[record.pixels].append(record)
    found = [group for group in groups.values() if len(group) > 1]
    for group in found:
        one = group[0].sample
        other = next((r.sample for r in group if r.sample.is_good != one.is_good), None)
        if other is not None:
            message = f"the same pixels are {one.kind} here and {other.kind} in {other.path}"
            yield Problem.of("copy-contradictory", [one.path, other.path], message)
    across = [group for group in found if len({r.sample.part == TEST for r in group}) == 2]
    if across:
        message = f"{these([g[0] for g in across])} are in {TRAIN} and in {TEST} with the same pixels"
        yield Problem.of("copy-across", [r.sample.path for group in across for r in group], message)
    surplus = [record for group in found for record in group[1:]]
    if surplus:
        message = f"{len(surplus)} images are exact copies of others"
        yield Problem.of("copy", [record.sample.path for record in surplus], message)
