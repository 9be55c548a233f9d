"""What a station says and is told, as JSON; keys are only ever added."""

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from protores.decision.regions import Region
from protores.decision.verdict import Outcome

Label = Literal["good", "bad"]
Counted = Literal["all", "good", "look-again", "bad", "feedback"]


class Part(BaseModel):
    """Frozen; its fields' docstrings are told in the API's description."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Feedback(Part):
    """What a person says about a verdict."""

    label: Label
    kind: str | None
    """Of defect."""
    has_mask: bool
    """Whether the defect was painted."""
    time: str
    """UTC, ISO 8601."""


class Record(Part):
    """A verdict on an image."""

    id: str
    time: str
    """When it was decided: UTC, ISO 8601."""
    name: str
    """The file's name at the client, to be shown; never a path."""
    sha256: str
    """Of the file."""
    model: str
    """Digest of network, thresholds and masks: the same one means the same results."""
    score: float
    verdict: Outcome | None
    """None without thresholds."""
    good_below: float | None
    bad_above: float | None
    size: tuple[int, int]
    """Height and width, pixels."""
    regions: tuple[Region, ...]
    seconds: float
    """From the whole upload to the verdict, waiting included."""
    feedback: Feedback | None = None


class Failure(Part):
    """An image among several that has no verdict."""

    name: str
    error: str


class Inspected(Part):
    """Verdicts in the order of the images."""

    verdicts: tuple[Record | Failure, ...]


class Page(Part):
    """Verdicts, newest first."""

    verdicts: tuple[Record, ...]
    next: str | None
    """What `before` has to be for the verdicts that follow; None: there are none."""
    counts: dict[Counted, int]
    """In the whole store, whatever the filter: verdicts, those of each outcome, and those that people judged."""


class Judgement(Part):
    """What a person says about a verdict, on its way in."""

    id: str
    label: Label
    kind: str | None = None
    """Of defect; a folder's name in the export."""
    mask: str | None = Field(default=None, repr=False)
    """PNG of the image's own size in base64; what is not 0 is defect. Not given: one that is there stays."""

    @property
    def keeps_mask(self) -> bool:
        """Whether a mask that was painted before goes on to count."""
        return self.label == "bad" and "mask" not in self.model_fields_set


class ThresholdsInfo(Part):
    """What decides now."""

    good_below: float | None
    bad_above: float | None
    map_threshold: float | None


class ModelInfo(Part):
    """The bundle that inspects."""

    product: str
    kinds: tuple[str, ...]
    size: tuple[int, int]
    """Height and width that the network sees, pixels."""
    precision: str
    runtime: str
    thresholds: ThresholdsInfo
    digest: str
    protores: str
    warning: str | None
    """Why contract.json as it is now is not used; None: it is."""


class Health(Part):
    """status: ok, or stopping. queue: images without a verdict yet."""

    status: Literal["ok", "stopping"]
    model: str
    queue: int
    warning: str | None


class Error(Part):
    """One line with the cure."""

    error: str


def stamp(time: datetime) -> str:
    """A time in UTC, to the millisecond."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now() -> str:
    """The time, as it is written."""
    return stamp(datetime.now(UTC))
