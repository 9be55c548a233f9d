"""What calibrate is asked for."""

from dataclasses import dataclass
from pathlib import Path

from protores.errors import ProtoresError

USUAL_MISS, USUAL_FALSE_ALARM = 0.01, 0.02


@dataclass(frozen=True)
class Request:
    """One way to pick the thresholds, and what else of the decision is to change; None: as it is.

    Budgets: max_miss, max_false_alarm; costs: cost_miss, cost_false_alarm, cost_look, defect_rate (None: as in the
    images); by hand: good_below, bad_above. None of them: the usual budgets. Raises ProtoresError where they
    contradict each other.
    """

    max_miss: float | None = None
    max_false_alarm: float | None = None
    cost_miss: float | None = None
    cost_false_alarm: float | None = None
    cost_look: float | None = None
    defect_rate: float | None = None
    good_below: float | None = None
    bad_above: float | None = None
    map_threshold: float | None = None
    min_area: float | None = None
    mm_per_px: float | None = None
    ignore: Path | None = None
    roi: Path | None = None

    def __post_init__(self) -> None:
        if self.by_budgets + self.by_costs + self.by_hand > 1:
            raise ProtoresError("budgets, costs and thresholds by hand exclude each other; pass one of them")
        if self.by_costs and (self.cost_miss is None or self.cost_false_alarm is None):
            raise ProtoresError("one cost alone weighs nothing; pass both --cost-miss and --cost-false-alarm")
        if self.by_hand and (self.good_below is None or self.bad_above is None):
            raise ProtoresError("one threshold alone is no verdict; pass both --good-below and --bad-above")
        if self.mm_per_px is not None and self.mm_per_px <= 0:
            raise ProtoresError(f"a pixel of {self.mm_per_px} mm is none; give the side of a pixel, e.g. 0.05")
        if self.min_area is not None and self.min_area < 0:
            raise ProtoresError("an area cannot be negative; give 0 for no smallest area")

    @property
    def by_budgets(self) -> bool:
        return self.max_miss is not None or self.max_false_alarm is not None

    @property
    def by_costs(self) -> bool:
        costs = (self.cost_miss, self.cost_false_alarm, self.cost_look, self.defect_rate)
        return any(value is not None for value in costs)

    @property
    def by_hand(self) -> bool:
        return self.good_below is not None or self.bad_above is not None

    @property
    def budgets(self) -> tuple[float | None, float | None]:
        """Of false alarms and of misses."""
        if self.by_budgets:
            return self.max_false_alarm, self.max_miss
        return USUAL_FALSE_ALARM, USUAL_MISS

    @property
    def changes_only(self) -> bool:
        """Something else is to change, and no threshold was asked for."""
        others = (self.map_threshold, self.min_area, self.mm_per_px, self.ignore, self.roi)
        return any(value is not None for value in others) and not (self.by_budgets or self.by_costs or self.by_hand)
