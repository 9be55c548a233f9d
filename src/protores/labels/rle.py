"""Run lengths to masks: those of COCO (plain and compressed), CVAT and Label Studio.

Sources: maskApi.c of the COCO API (the code in characters of 48 to 111), the XML and mask formats of CVAT's
documentation, rle-pack of thi.ng/umbrella, which Label Studio stores brush strokes with. All raise ValueError where the
runs do not fit the size.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from protores.labels.shapes import Mask


def from_runs(runs: Sequence[int], size: tuple[int, int], order: Literal["C", "F"]) -> Mask:
    """Runs of background and defect in turn, background first; row by row (C: CVAT) or column by column (F: COCO)."""
    if any(run < 0 for run in runs) or sum(runs) != size[0] * size[1]:
        raise ValueError(f"run lengths that do not add up to {size[1]} x {size[0]} pixels")
    return np.repeat(np.arange(len(runs), dtype=np.int64) % 2, runs).astype(np.uint8).reshape(size, order=order)


def coco_runs(text: str) -> list[int]:
    """COCO's compressed counts: five bits a character, lowest first; from the fourth on less the one two before."""
    runs: list[int] = []
    value = shift = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64:
            raise ValueError(f"a character {character!r} that is no run length")
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("run lengths that are cut off")
    return runs


def label_studio_mask(codes: Sequence[int], size: tuple[int, int]) -> Mask:
    """Label Studio's brush: bytes that pack the four channels of an image; where the last, alpha, is half or more."""
    values = _unpacked(bytes(codes))
    if len(values) != 4 * size[0] * size[1]:
        raise ValueError(f"a brush stroke of {len(values) // 4} pixels for an image of {size[1]} x {size[0]}")
    return (values.reshape(*size, 4)[..., 3] >= 128).astype(np.uint8)


def _unpacked(data: bytes) -> NDArray[np.uint8]:
    """A count, a word's size, four sizes of run lengths; then runs of one word, or of words of their own."""
    bits, at = np.unpackbits(np.frombuffer(data, np.uint8)), 0

    def read(count: int) -> int:
        nonlocal at
        if at + count > len(bits):
            raise ValueError("a brush stroke that is cut off")
        first, at = at, at + count
        spare = -at % 8
        return int.from_bytes(data[first // 8 : (at + 7) // 8]) >> spare & ((1 << count) - 1)

    length, word = read(32), read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    if word != 8:
        raise ValueError(f"a brush stroke of {word}-bit values")
    if length > 1 << 32:
        raise ValueError("a brush stroke that is too large")
    parts: list[NDArray[np.uint8]] = []
    done = 0
    while done < length:
        repeated = read(1)
        count = read(sizes[read(2)]) + 1
        if repeated:
            parts.append(np.full(count, read(8), np.uint8))
        else:
            if at + 8 * count > len(bits):
                raise ValueError("a brush stroke that is cut off")
            parts.append(np.packbits(bits[at : at + 8 * count]))
            at += 8 * count
        done += count
    return np.concatenate(parts) if parts else np.zeros(0, np.uint8)
