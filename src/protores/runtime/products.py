"""How an image is inspected by a network of several products: which one it shows, and then as that one is."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from protores.bundle.contract import Contract, Image
from protores.runtime.engine import Engine
from protores.runtime.procedure import Prepared, Procedure, Source, Views, batches, by_image
from protores.runtime.result import Result
from protores.runtime.view import Size, Tiling


@dataclass(frozen=True, eq=False)
class Recognised:
    """The network's map of an image, and the product that it is of."""

    map: NDArray[np.float32]
    product: str


class ProductsProcedure:
    """The steps of Procedure. products: each one's own, by name, in the order in which the network knows them; images
    are prepared alike for all."""

    def __init__(self, products: Mapping[str, Procedure]):
        self.products = products
        self.names = tuple(products)
        self.common = products[self.names[0]]

    @property
    def image(self) -> Image:
        return self.common.image

    @property
    def tiling(self) -> Tiling | None:
        return self.common.tiling

    def digest(self) -> str:
        """As Procedure.digest."""
        parts = [f"{name} {procedure.digest()}" for name, procedure in self.products.items()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def prepare(self, image: Source, name: str | Path = "image") -> Prepared:
        """As Procedure.prepare."""
        return self.common.prepare(image, name)

    def run(self, engine: Engine, images: Sequence[Views]) -> list[Recognised]:
        """The engine's map and the nearest product of each image; of tiles the joined map, the nearest in the mean."""
        found = [engine.recognise(batch) for batch in batches(images)]
        maps, distances = (by_image(np.concatenate(part), images) for part in zip(*found, strict=True))
        return [
            Recognised(self.common.view.join(own, image.size), self.names[int(far.mean(0).argmin())])
            for image, own, far in zip(images, maps, distances, strict=True)
        ]

    def finish(self, size: Size, recognised: Recognised) -> Result:
        """As the product's own Procedure.finish."""
        found = self.products[recognised.product].finish(size, recognised.map)
        return replace(found, product=recognised.product)


def procedure_of(folder: Path, contract: Contract, tiling: Tiling | None = None) -> Procedure | ProductsProcedure:
    """As a bundle has it. Raises UnreadableImage for its masks."""
    if contract.products is None:
        return Procedure.of_bundle(folder, contract, contract.decision, tiling)
    products = {one.name: Procedure.of_bundle(folder, contract, one.decision, tiling) for one in contract.products}
    return ProductsProcedure(products)
