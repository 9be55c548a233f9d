"""A run or a bundle as what is calibrated and reported on: its inspector, its decision, and the images it has met."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from protores.bundle.contract import Contract, Decision
from protores.data.image import encode_mask
from protores.data.splits import Split
from protores.data.uses import Uses
from protores.errors import ProtoresError
from protores.files import write_json, write_whole
from protores.inspection import open_inspector
from protores.runtime.engine import Engine
from protores.runtime.procedure import Procedure
from protores.runtime.products import ProductsProcedure

Mask = NDArray[np.uint8] | None


@dataclass(frozen=True, eq=False)
class Subject:
    """product: the one that it is about, alone or of several; among_several: its name in the latter case. procedure:
    how its images are inspected under its decision, with its masks. uses: what the model's images were, by content.

    root, split: where a run's own images of the product lie, and their roles; None for a bundle. facts: titles to
    values for people.
    """

    path: Path
    product: str
    seen_kinds: frozenset[str]
    engine: Engine
    procedure: Procedure
    uses: Uses
    root: Path | None
    split: Split | None
    facts: dict[str, Any]
    among_several: str | None = None

    @classmethod
    def open(cls, path: Path, product: str | None = None) -> "Subject":
        """The run or bundle in a folder; product: which of several it is about. Raises BundleError or RunError where it
        is neither, ProtoresError where it knows no such product."""
        inspector = open_inspector(path)
        procedure = _procedure(path, inspector.procedure, product)
        if inspector.contract is not None:
            return _of_bundle(path, inspector.contract, inspector.engine, procedure, product)
        return _of_run(path, inspector.engine, procedure, product)

    @property
    def decision(self) -> Decision:
        return self.procedure.decision

    @property
    def is_run(self) -> bool:
        return self.split is not None

    def deciding(self, decision: Decision, ignore: Mask, roi: Mask) -> Self:
        """The same under another decision. Masks are uint8 {0, 1} of any size, their files are named by content."""
        names = {"ignore": _name("ignore", ignore), "roi": _name("roi", roi)}
        decision = Decision.model_validate(decision.model_dump() | names)
        return replace(self, procedure=Procedure(self.procedure.image, self.procedure.score, decision, ignore, roi))

    def save(self) -> None:
        """Writes the decision and its masks to the run or bundle, the masks first, so that an interruption leaves the
        old decision whole. Raises OSError."""
        names = self.decision.ignore, self.decision.roi
        named = {n: m for n, m in zip(names, self.procedure.masks, strict=True) if n is not None and m is not None}
        for name, mask in named.items():
            write_whole(self.path / name, encode_mask(mask))
        if self.is_run:
            from protores.run import Run

            run = Run(self.path)
            settings = run.read_settings()
            write_json(run.decision_of(settings, self.product), self.decision.model_dump(mode="json"))
            decisions = [run.read_decision(settings, product)[0] for product in settings.products]
        else:
            contract = self._decided(Contract.read(self.path))
            contract.with_files(self.path, *named).write(self.path)
            decisions = list(contract.decisions)
        used = {name for decision in decisions for name in (decision.ignore, decision.roi)}
        for old in (*self.path.glob("ignore*.png"), *self.path.glob("roi*.png")):
            if old.name not in used:
                old.unlink()

    def _decided(self, contract: Contract) -> Contract:
        """The contract with this decision in its place."""
        if contract.products is None:
            return contract.model_copy(update={"decision": self.decision})
        products = [
            one.model_copy(update={"decision": self.decision}) if one.name == self.product else one
            for one in contract.products
        ]
        return contract.model_copy(update={"products": tuple(products)})


def _procedure(path: Path, procedure: Procedure | ProductsProcedure, product: str | None) -> Procedure:
    """The one of this product. Raises ProtoresError where there is none, and where none of several is named."""
    if isinstance(procedure, Procedure):
        if product is not None:
            raise ProtoresError(f"{path} knows one product alone; leave out --product")
        return procedure
    if product not in procedure.products:
        names = ", ".join(procedure.names)
        wrong = "several products" if product is None else f"no product {product}"
        raise ProtoresError(f"{path} knows {wrong}; name one of {names} by --product")
    return procedure.products[product]


def _of_bundle(
    path: Path, contract: Contract, engine: Engine, procedure: Procedure, product: str | None
) -> Subject:
    seen_kinds = {one.name: one.seen_kinds for one in contract.products or ()}
    uses = Uses({}) if contract.images is None else Uses.from_json((path / contract.images).read_bytes())
    return Subject(
        path,
        product=product or contract.product,
        seen_kinds=frozenset(contract.seen_kinds if product is None else seen_kinds[product]),
        engine=engine,
        procedure=procedure,
        uses=uses,
        root=None,
        split=None,
        facts=contract.model_dump(mode="json", include={"model", "image", "origin", "files"}),
        among_several=product,
    )


def _of_run(path: Path, engine: Engine, procedure: Procedure, product: str | None) -> Subject:
    from protores.run import Run

    run = Run(path)
    settings, split = run.read_settings(), run.read_split()
    roots = {root.name: root for root in settings.data.products}
    own = split if product is None else split.of(product)
    return Subject(
        path,
        product=product or settings.products[0] or path.name,
        seen_kinds=frozenset(own.seen_kinds),
        engine=engine,
        procedure=procedure,
        uses=Uses.of(split),
        root=settings.data.root if product is None else roots[product],
        split=own,
        facts=run.facts(),
        among_several=product,
    )


def _name(kind: str, mask: Mask) -> str | None:
    return None if mask is None else f"{kind}-{hashlib.sha256(mask.tobytes()).hexdigest()[:8]}.png"
