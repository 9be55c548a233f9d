"""Good, bad or look again: what an image's score means under two thresholds.

Good below the first, bad above the second, and in between a person looks; a score that equals a threshold is in
between. Where both are the same number, that is the ordinary single threshold.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from protores.errors import ProtoresError

if TYPE_CHECKING:
    from protores.decision.regions import Region

Outcome = Literal["good", "look-again", "bad"]
OUTCOMES: tuple[Outcome, ...] = ("good", "look-again", "bad")


@dataclass(frozen=True)
class Thresholds:
    """Image scores: good below the first, bad above the second. Raises ProtoresError unless 0 <= good <= bad <= 1."""

    good_below: float
    bad_above: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.good_below <= self.bad_above <= 1.0:
            raise ProtoresError(
                f"thresholds {self.good_below} and {self.bad_above} are no range of scores; "
                "good_below must be at most bad_above, both in [0, 1]"
            )

    @classmethod
    def of(cls, good_below: float | None, bad_above: float | None) -> "Thresholds | None":
        """The two of a contract; None where both are null. Raises ProtoresError where only one is."""
        if good_below is None and bad_above is None:
            return None
        if good_below is None or bad_above is None:
            raise ProtoresError(
                "only one of good_below and bad_above is set; set both, to the same number for one threshold"
            )
        return cls(good_below, bad_above)

    def outcome(self, score: float) -> Outcome:
        """What a score in [0, 1] means. Raises ProtoresError where it is not a number."""
        if math.isnan(score):
            raise ProtoresError("a score is NaN: the model's map is broken; run `protores verify`, or train anew")
        if score < self.good_below:
            return "good"
        return "bad" if score > self.bad_above else "look-again"


@dataclass(frozen=True)
class Verdict:
    """What is decided about an image, and by how much.

    regions: what the map outlines and what counts, largest peak first; they explain, the score decides.
    """

    outcome: Outcome
    score: float
    thresholds: Thresholds
    regions: tuple["Region", ...] = ()

    @property
    def above_good(self) -> float:
        """How far the score lies above the threshold of good; negative: it is good by that much."""
        return self.score - self.thresholds.good_below

    @property
    def above_bad(self) -> float:
        """How far the score lies above the threshold of bad; negative: it is not bad by that much."""
        return self.score - self.thresholds.bad_above

    def to_dict(self) -> dict[str, Any]:
        """Stable JSON (docs/thresholds.md): keys are only ever added."""
        return {
            "verdict": self.outcome,
            "score": self.score,
            "good_below": self.thresholds.good_below,
            "bad_above": self.thresholds.bad_above,
            "above_good": self.above_good,
            "above_bad": self.above_bad,
            "regions": [region.to_dict() for region in self.regions],
        }


def decide(score: float, thresholds: Thresholds | None, regions: Sequence["Region"] = ()) -> Verdict | None:
    """The verdict on a score in [0, 1]; None where there are no thresholds yet."""
    if thresholds is None:
        return None
    return Verdict(thresholds.outcome(score), float(score), thresholds, tuple(regions))
