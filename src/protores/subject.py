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
from protores.files import write_json, write_whole
from protores.inspection import open_inspector
from protores.runtime.engine import Engine
from protores.runtime.inspector import Inspector
from protores.runtime.procedure import Procedure

Mask = NDArray[np.uint8] | None


@dataclass(frozen=True, eq=False)
class Subject:
    """procedure: how images are inspected under its decision, with its masks. uses: what its images were, by content.

    root, split: where a run's own images lie, and their roles; None for a bundle. facts: titles to values for people.
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

    @classmethod
    def open(cls, path: Path) -> "Subject":
        """The run or bundle in a folder. Raises BundleError or RunError where it is neither."""
        inspector = open_inspector(path)
        if inspector.contract is not None:
            return _of_bundle(path, inspector.contract, inspector)
        return _of_run(path, inspector)

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

            write_json(Run(self.path).decision, self.decision.model_dump(mode="json"))
        else:
            contract = Contract.read(self.path).model_copy(update={"decision": self.decision})
            contract.with_files(self.path, *named).write(self.path)
        for old in (*self.path.glob("ignore*.png"), *self.path.glob("roi*.png")):
            if old.name not in named:
                old.unlink()


def _of_bundle(path: Path, contract: Contract, inspector: Inspector) -> Subject:
    uses = Uses({}) if contract.images is None else Uses.from_json((path / contract.images).read_bytes())
    return Subject(
        path,
        product=contract.product,
        seen_kinds=frozenset(contract.seen_kinds),
        engine=inspector.engine,
        procedure=inspector.procedure,
        uses=uses,
        root=None,
        split=None,
        facts=contract.model_dump(mode="json", include={"model", "image", "origin", "files"}),
    )


def _of_run(path: Path, inspector: Inspector) -> Subject:
    from protores.run import Run

    run = Run(path)
    settings, split = run.read_settings(), run.read_split()
    return Subject(
        path,
        product=settings.data.root.name if settings.data.root else path.name,
        seen_kinds=frozenset(split.seen_kinds),
        engine=inspector.engine,
        procedure=inspector.procedure,
        uses=Uses.of(split),
        root=settings.data.root,
        split=split,
        facts=run.facts(),
    )


def _name(kind: str, mask: Mask) -> str | None:
    return None if mask is None else f"{kind}-{hashlib.sha256(mask.tobytes()).hexdigest()[:8]}.png"
