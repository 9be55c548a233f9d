"""Samples at one size, out of the cache where they are in it: each is decoded once, and again only if it gets lost."""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protores.data.cache import Cache, Damaged, Entry, use
from protores.data.container import Header
from protores.data.image import resize_image, resize_mask
from protores.data.look import Look, MaskLook
from protores.data.record import Record, Skipped, decode, read
from protores.data.sample import Sample
from protores.errors import DataError


@dataclass(frozen=True, eq=False)
class Resized:
    """A sample at the size of its store: uint8 RGB H x W x 3, and its mask (uint8 {0, 1}) if it has one."""

    record: Record
    look: Look
    image: NDArray[np.uint8]
    mask: NDArray[np.uint8] | None


@dataclass(frozen=True, eq=False)
class Cached:
    """The same, in a cache."""

    record: Record
    look: Look
    entry: Entry


@dataclass(frozen=True)
class Reader:
    """Reads samples at one size, with a cache or without."""

    size: tuple[int, int]
    keep_aspect: bool
    bit_depth: int
    cache: Cache | None

    def try_read(self, sample: Sample) -> Resized | Cached | Skipped:
        """A sample from the cache, put there first where it is not; from its file where the cache cannot keep it."""
        try:
            contents = read(sample)
            if self.cache is None:
                return self._resize(sample, contents)
            image, mask = (None if data is None else hashlib.sha256(data).hexdigest() for data in contents)
            entry = self.cache.entry(str(image), mask, self.size, self.keep_aspect, self.bit_depth)
            try:
                found = Cached(*_known(sample, *entry.read()), entry)
                use(entry)
                return found
            except (Damaged, KeyError, TypeError):
                resized = self._resize(sample, contents)
            return self._kept(self.cache, resized, entry)
        except DataError as error:
            return Skipped(sample, error)

    def image(self, one: Resized | Cached) -> NDArray[np.uint8]:
        """uint8 RGB H x W x 3, mapped to memory where it is in the cache. Raises DataError where it is lost."""
        if isinstance(one, Resized):
            return one.image
        try:
            return one.entry.mapped("image")
        except Damaged:
            return self._again(one).image

    def mask(self, one: Resized | Cached) -> NDArray[np.uint8]:
        """uint8 {0, 1} H x W, likewise; zeros where the sample has none."""
        mask = one.mask if isinstance(one, Resized) else None
        if isinstance(one, Cached) and one.entry.has_mask:
            try:
                mask = one.entry.mapped("mask")
            except Damaged:
                mask = self._again(one).mask
        return np.zeros(self.size, np.uint8) if mask is None else mask

    def _again(self, lost: Cached) -> Resized:
        """What the cache has lost since. Raises DataError where the sample's file is not what it was, either."""
        sample = lost.record.sample
        resized = self._resize(sample, read(sample))
        if resized.record != lost.record:
            raise DataError(f"{sample.path} changed while it was in use; restore it, or begin anew")
        if self.cache is not None:
            self._kept(self.cache, resized, lost.entry)
        return resized

    def _resize(self, sample: Sample, contents: tuple[bytes, bytes | None]) -> Resized:
        loaded = decode(sample, *contents, self.bit_depth)
        mask = None if loaded.mask is None else resize_mask(loaded.mask, self.size, self.keep_aspect)
        return Resized(loaded.record, loaded.look, resize_image(loaded.image, self.size, self.keep_aspect), mask)

    def _kept(self, cache: Cache, resized: Resized, entry: Entry) -> Resized | Cached:
        arrays = [array for array in (resized.image, resized.mask) if array is not None]
        content = entry.content(_facts(resized), resized.look.thumb, *arrays)
        return Cached(resized.record, resized.look, entry) if cache.write(entry, content) else resized


def _facts(resized: Resized) -> dict[str, Any]:
    """Record and look but for path and thumb, for the cache."""
    record = {name: value for name, value in vars(resized.record).items() if name != "sample"}
    look = {name: value for name, value in vars(resized.look).items() if name not in ("thumb", "header", "mask")}
    mask = resized.look.mask
    return {
        "record": record,
        "look": look,
        "header": asdict(resized.look.header),
        "mask": None if mask is None else asdict(mask),
    }


def _known(sample: Sample, facts: dict[str, Any], thumb: NDArray[np.float32]) -> tuple[Record, Look]:
    """What _facts put away."""
    mask, look = facts["mask"], facts["look"]
    return Record(sample=sample, **facts["record"]), Look(
        header=Header(**facts["header"]),
        thumb=thumb,
        levels=tuple(look["levels"]),
        contrast=look["contrast"],
        mask=None if mask is None else MaskLook(**mask | {"header": Header(**mask["header"])}),
    )
