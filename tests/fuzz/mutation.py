"""Files that are nearly right: valid ones with a few bytes or values changed.

All chance comes from a random.Random; CHANCE gives one to hypothesis, which makes what it finds small.
"""

import copy
import json
from collections.abc import Iterator
from random import Random
from typing import Any

import seeds
from hypothesis import strategies as st

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**63, -(10**300), 0.5, -0.0, 1e308, float("nan"), float("inf"), float("-inf"),
    "", "0", "good", "train", "a\nb", "../x", "C:x", "é", "\ud800", "\0", "x" * 300, [], {}, [[]], {"": {}},
)  # fmt: skip
LONG_NUMBER = b"9" * 5000
"""More digits than Python turns into a number."""
DEEP = b"[" * 100_000


class Drawn(Random):
    """Chance out of bytes; where they end all that comes is 0. One draw, a tenth of the time of st.randoms()."""

    def __init__(self, data: bytes):
        super().__init__()
        self._data, self._at = data, 0

    def random(self) -> float:
        return self.getrandbits(32) / 2**32

    def getrandbits(self, k: int, /) -> int:
        length = (k + 7) // 8
        piece = self._data[self._at : self._at + length]
        self._at += length
        return int.from_bytes(piece) & ((1 << k) - 1)


CHANCE = st.builds(Drawn, st.binary(min_size=160, max_size=160))


def mutated(rng: Random, target: str) -> bytes:
    """An input for a target of targets.py."""
    if rng.random() < 0.05:
        return bytes(rng.randrange(256) for _ in range(rng.randrange(64)))
    if target == "image":
        return spoilt(rng, rng.choice(seeds.images()))
    return edited(rng, getattr(seeds, target)())


def spoilt(rng: Random, valid: bytes) -> bytes:
    """A file with one to four stretches of bytes changed, taken out, put in, doubled, or cut off."""
    data = bytearray(valid)
    for _ in range(rng.randint(1, 4)):
        at, length = rng.randrange(len(data) + 1), rng.randint(1, 16)
        stretch = data[at : at + length]
        how = rng.randrange(6)
        if how == 0:
            data[at : at + 1] = bytes([rng.randrange(256)])
        elif how == 1:
            data[at : at + 4] = rng.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\xff\xff", b"\x7f\xff\xff\xff"))
        elif how == 2:
            del data[at : at + length]
        elif how == 3:
            data[at:at] = bytes(rng.randrange(256) for _ in range(length))
        elif how == 4:
            data[at:at] = stretch
        else:
            del data[at:]
    return bytes(data)


def edited(rng: Random, valid: dict[str, Any]) -> bytes:
    """A JSON file with one to three values replaced or taken out, seldom with its bytes spoilt on top."""
    values = copy.deepcopy(valid)
    for _ in range(rng.randint(1, 3)):
        places = list(_places(values))
        if not places:
            break
        holder, key = rng.choice(places)
        how = rng.randrange(5)
        if how == 0:
            del holder[key]
        elif how == 1 and isinstance(holder, dict):
            holder[rng.choice(("", "a", "path", "a\nb", "size"))] = rng.choice(VALUES)
        elif how == 2:
            other, name = rng.choice(places)
            holder[key] = copy.deepcopy(other.get(name) if isinstance(other, dict) else holder[key])
        else:
            holder[key] = copy.deepcopy(rng.choice(VALUES))
    text = json.dumps(values).encode()
    chance = rng.random()
    if chance < 0.01:
        return text.replace(b"0", LONG_NUMBER, 1)
    if chance < 0.015:
        return text.replace(b"0", DEEP, 1)
    return spoilt(rng, text) if chance < 0.15 else text


def _places(values: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(values) if isinstance(values, dict) else range(len(values)) if isinstance(values, list) else ()
    for key in keys:
        yield values, key
        yield from _places(values[key])
