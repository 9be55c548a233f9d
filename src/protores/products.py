"""Several products for one network: each read and divided into roles by itself, and all in a row for training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protores.data.folders import folders_in
from protores.data.frames import Frames
from protores.data.image import probe_bit_depth
from protores.data.layouts import is_product, survey
from protores.data.splits import Entry, Split
from protores.errors import DataError, SettingsError
from protores.product import Images, Product, open_product
from protores.progress import Progress
from protores.settings import Settings


@dataclass(frozen=True)
class Products:
    """parts: the products, in the order in which the network knows them."""

    parts: tuple[Product, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(part.name for part in self.parts)

    @cached_property
    def split(self) -> Split:
        """The roles of all images; a path begins with the product's name."""
        entries = [_of_product(part.name, entry) for part in self.parts for entry in part.split.entries]
        return Split(tuple(entries), tuple(f"{part.name}: {note}" for part in self.parts for note in part.split.notes))

    @property
    def seen_kinds(self) -> set[str]:
        """The kinds of the defects that train, whatever the product."""
        return self.split.seen_kinds

    def problem_lines(self) -> Iterator[str]:
        """What is wrong with each product's folder."""
        return (f"{part.name}: {line}" for part in self.parts for line in part.problem_lines())

    def role(self, name: str) -> Images:
        """The images of a role, one product's behind the other's."""
        return _in_a_row([part.role(name) for part in self.parts])


def product_folders(data: Sequence[Path]) -> tuple[Path, ...]:
    """The products in some folders: each is one, or holds some.

    Raises DataError where a folder does neither, SettingsError for fewer than two products or two of one name.
    """
    found: list[Path] = []
    for folder in data:
        own = [folder] if is_product(folder) else [inner for inner in folders_in(folder) if is_product(inner)]
        if not own:
            survey(folder)  # says what is wrong with it
        found += [one.resolve() for one in own]
    names = [folder.name.casefold() for folder in found]
    if len(found) < 2:
        raise SettingsError(f"there is one product in {found[0]}; leave out --multi, or name more folders")
    if same := [folder for folder in found if names.count(folder.name.casefold()) > 1]:
        raise SettingsError(f"two products are called {same[0].name} ({same[0]}, {same[1]}); rename one's folder")
    return tuple(found)


def open_data(settings: Settings, skip_bad: bool, progress: Progress) -> tuple[Product | Products, Settings]:
    """open_product, or open_products where the settings name several."""
    return (open_products if settings.data.products else open_product)(settings, skip_bad, progress)


def open_products(settings: Settings, skip_bad: bool, progress: Progress) -> tuple[Products, Settings]:
    """Reads settings.data.products and draws the roles of each; see open_product. One bit depth goes for all."""
    data = settings.data
    if data.add:
        raise SettingsError("--add does not say which product its images are of; leave out --add or --multi")
    good = [s.path for root in data.products for s in survey(root).dataset.samples if s.is_good]
    data = data.model_copy(update={"bit_depth": data.bit_depth or probe_bit_depth(good)})
    parts = []
    for root in data.products:
        try:
            parts.append(open_product(of_product(settings, root, data.bit_depth), skip_bad, progress)[0])
        except DataError as error:
            raise DataError(f"{root.name}: {error}") from error
    return Products(tuple(parts)), settings.model_copy(update={"data": data})


def of_product(settings: Settings, root: Path, bit_depth: int | None) -> Settings:
    """The settings as they would be of this product alone."""
    changes: dict[str, Any] = {"root": root, "products": (), "bit_depth": bit_depth}
    return settings.model_copy(update={"data": settings.data.model_copy(update=changes)})


class _InARow:
    """Reads the frame at a place of several in a row; goes along to other processes."""

    def __init__(self, parts: Sequence[Frames | NDArray[Any]]):
        self.parts = parts
        self.ends = np.cumsum([len(part) for part in parts])

    def __call__(self, place: int) -> NDArray[Any]:
        part = int(np.searchsorted(self.ends, place, "right"))
        return self.parts[part][place - int(self.ends[part]) + len(self.parts[part])]


def _frames(parts: Sequence[Frames | NDArray[Any]]) -> Frames:
    return Frames(_InARow(parts), sum(map(len, parts)), parts[0].shape[1:], parts[0].dtype.type)


def _in_a_row(parts: Sequence[Images]) -> Images:
    valid = [part.valid for part in parts if part.valid is not None]  # of all or of none: the settings decide
    return Images(
        images=_frames([part.images for part in parts]),
        masks=_frames([part.masks for part in parts]),
        has_mask=np.concatenate([part.has_mask for part in parts]),
        valid=_frames(valid) if valid else None,
        kinds=tuple(kind for part in parts for kind in part.kinds),
        paths=tuple(path for part in parts for path in part.paths),
    )


def _of_product(name: str, entry: Entry) -> Entry:
    return replace(entry, path=f"{name}/{entry.path}")
