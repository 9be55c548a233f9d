"""Does a bundle give here and now what the training code gave? Its golden samples through a runtime of this machine."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from protores.bundle import golden
from protores.bundle.contract import Contract
from protores.data.image import network_input
from protores.runtime.engine import Engine, open_engine
from protores.runtime.score import image_score


@dataclass(frozen=True)
class Checked:
    """One golden sample: its image's name and kind, the score by the contract and the one found, and the largest
    absolute difference of the two maps, NaN where the map found is not a number. taken_for: another product than it
    shows."""

    image: str
    kind: str
    score: float
    found: float
    deviation: float
    taken_for: str | None = None


@dataclass(frozen=True)
class Verification:
    """What one runtime gives for all golden samples."""

    runtime: str
    precision: str
    bound: float
    samples: tuple[Checked, ...]

    @property
    def deviation(self) -> float:
        """The largest of all samples; NaN if one is."""
        return float(np.max([sample.deviation for sample in self.samples]))

    @property
    def in_order(self) -> bool:
        """Of any two samples whose scores are further apart than the bound, the higher is the higher here too."""
        return all(
            (a.found - b.found) * (a.score - b.score) > 0
            for a, b in combinations(self.samples, 2)
            if abs(a.score - b.score) > self.bound
        )

    @property
    def passed(self) -> bool:
        """Every map is within the bound, the scores are in the same order, and every product is recognised."""
        recognised = all(sample.taken_for is None for sample in self.samples)
        return self.deviation <= self.bound and self.in_order and recognised

    def lines(self) -> Iterator[str]:
        """For a person: a line per sample, and the outcome."""
        for sample in self.samples:
            word = "ok" if sample.deviation <= self.bound else "FAIL"
            yield (
                f"{word:<4}  {sample.image}  {sample.kind}: map deviates by {sample.deviation:.1e}, "
                f"score {sample.found:.4f} ({sample.score:.4f})"
            )
            if sample.taken_for is not None:
                yield f"FAIL  {sample.image}  is taken for {sample.taken_for}"
        if not self.in_order:
            yield "FAIL  the scores are not in the same order"
        yield (
            f"{'pass' if self.passed else 'FAIL'}: {self.runtime}, {self.precision}, "
            f"largest deviation {self.deviation:.1e}, bound {self.bound:.1e}"
        )


def verify(bundle: Path, runtime: str | None = None, threads: int | None = None) -> Verification:
    """Checks every file's hash, then runs the golden samples, alone and as one batch.

    runtime, threads: see open_engine. Raises BundleError for a bundle or a runtime that cannot be used.
    """
    contract = Contract.read(bundle)
    images, maps = golden.read(bundle, contract)
    engine = open_engine(bundle, contract, runtime, threads)
    given = network_input(images)
    alone = np.concatenate([engine(given[i : i + 1]) for i in range(len(given))])
    taken = _recognised(contract, engine, given)
    worst = np.maximum(golden.deviations(alone, maps), golden.deviations(engine(given), maps))
    return Verification(
        runtime=engine.name,
        precision=contract.model.precision,
        bound=contract.golden.bound,
        samples=tuple(_checked(contract, i, alone[i], float(worst[i]), taken[i]) for i in range(len(maps))),
    )


def _recognised(contract: Contract, engine: Engine, given: NDArray[np.float32]) -> list[str | None]:
    """What each sample is taken for; None of a network that knows one product."""
    if contract.products is None:
        return [None] * len(given)
    distances = np.concatenate([engine.recognise(given[i : i + 1])[1] for i in range(len(given))])
    return [contract.products[place].name for place in distances.argmin(1)]


def _checked(
    contract: Contract, i: int, anomaly_map: NDArray[np.float32], deviation: float, product: str | None
) -> Checked:
    sample = contract.golden.samples[i]
    found = image_score(anomaly_map, contract.score.top)
    taken_for = None if product == sample.product else product
    return Checked(sample.image, sample.kind, sample.score, found, deviation, taken_for)
