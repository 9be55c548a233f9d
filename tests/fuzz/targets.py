"""What is fuzzed: a reader given any bytes gives a result, or an error of one line that ends with the cure.

Anything else (another exception, a crash, no end) is a finding. Each target gets bytes and says whether it took them.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from protores.bundle.contract import NAME, Contract
from protores.data.container import Damaged
from protores.data.dimensions import pixel_count
from protores.data.image import decode_image, decode_mask
from protores.data.splits import Split
from protores.data.uses import Uses
from protores.errors import ProtoresError
from protores.presets import from_json

LARGEST = 1 << 22
"""Pixels; what claims to be larger is not decoded, as the station refuses it."""


def image(data: bytes) -> bool:
    """An image file and the same as a mask, as check, training, prediction and the station read it."""
    return _told(lambda: _decode(data))


def _decode(data: bytes) -> None:
    try:
        pixels = pixel_count(data)
    except Damaged:
        pixels = 0
    if pixels > LARGEST:
        return
    decoded = decode_image(data, "x.png")
    assert decoded.pixels.dtype in (np.uint8, np.uint16)
    assert decoded.pixels.ndim == 2 or decoded.pixels.shape[2] == 3
    assert 1 <= decoded.channels <= 4
    mask = decode_mask(data, "x.png")
    assert mask.pixels.shape == decoded.pixels.shape[:2]
    assert mask.pixels.max() <= 1


def contract(data: bytes) -> bool:
    """contract.json: whatever is read can be written, and is read again as the same."""

    def read() -> None:
        found = Contract.from_json(data, Path(NAME))
        assert Contract.from_json(found.model_dump_json().encode(), Path(NAME)) == found

    return _told(read)


def split(data: bytes) -> bool:
    """split.json."""

    def read() -> None:
        text = data.decode("utf-8", "replace")
        found = Split.from_json(text)
        assert Split.from_json(found.to_json()) == found

    return _told(read)


def settings(data: bytes) -> bool:
    """settings.json."""

    def read() -> None:
        found = from_json(data.decode("utf-8", "replace"))
        assert from_json(found.model_dump_json()) == found

    return _told(read)


def uses(data: bytes) -> bool:
    """A bundle's list of used images."""

    def read() -> None:
        found = Uses.from_json(data)
        assert set(json.loads(found.to_json())) == {"train", "seen", "calibration", "test"}

    return _told(read)


TARGETS: dict[str, Callable[[bytes], bool]] = {
    "image": image,
    "contract": contract,
    "split": split,
    "settings": settings,
    "uses": uses,
}


def _told(read: Callable[[], None]) -> bool:
    try:
        read()
    except ProtoresError as error:
        message = str(error)
    else:
        return True
    assert "\n" not in message, message
    assert ";" in message, message
    return False
