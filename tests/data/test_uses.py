"""Images are known again by content, and nothing else is kept of them."""

from pathlib import Path

import pytest

from protores.data.layouts import recognise
from protores.data.record import Record, load
from protores.data.splits import Entry, Split
from protores.data.uses import DIGITS, Uses
from protores.errors import DataError

ROLES = ("train", "seen", "calibration", "test", "excluded")


@pytest.fixture
def records(tiny_product: Path) -> list[Record]:
    return [load(sample, 8).record for sample in recognise(tiny_product).samples[:5]]


def split_of(records: list[Record]) -> Split:
    pairs = zip(records, ROLES, strict=True)
    return Split(tuple(Entry("x.png", "k", role, record.sha256, record.pixels) for record, role in pairs))


def test_roles_come_back_by_content(records):
    uses = Uses.from_json(Uses.of(split_of(records)).to_json())
    assert [uses.role(record) for record in records] == ["train", "seen", "calibration", "test", None]


def test_a_copy_saved_again_is_known_by_its_pixels(records):
    uses = Uses.of(split_of(records))
    copy = Record(records[0].sample, "0" * 64, records[0].pixels, 64, 64, 8, 3, 0)
    assert uses.role(copy) == "train"


def test_no_name_and_no_whole_hash_is_written(records):
    text = Uses.of(split_of(records)).to_json()
    assert "x.png" not in text
    assert records[0].sha256[: DIGITS + 1] not in text


@pytest.mark.parametrize("text", ["", "[]", '{"train": []}', '{"train": 3}'])
def test_a_damaged_list_is_an_error(text):
    with pytest.raises(DataError, match="damaged; restore"):
        Uses.from_json(text)
