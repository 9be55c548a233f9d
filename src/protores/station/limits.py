"""What a station takes, beyond which an upload is refused before it costs anything; and how long it keeps it."""

import math
from dataclasses import dataclass

from protores.errors import StationError

MEGA = 1_000_000
RECEIVE_SECONDS = 60.0
"""How long an upload may take to arrive: one that trickles holds a place in the queue."""
HELD = 8
"""Uploads of the largest size whose bytes may be in memory at once."""


@dataclass(frozen=True)
class Limits:
    """upload_mb: of one request's body, 10^6 bytes. megapixels: of one image, 10^6 pixels. queue: images that were
    accepted and have no verdict yet. keep_days: after which verdicts that nobody judged are forgotten; None: never.

    Raises StationError for limits that let nothing in.
    """

    upload_mb: float = 32.0
    megapixels: float = 64.0
    queue: int = 64
    keep_days: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.upload_mb < math.inf or not 0 < self.megapixels < math.inf or self.queue < 1:
            raise StationError(
                f"limits of {self.upload_mb} MB, {self.megapixels} megapixels and {self.queue} images in the queue "
                "let nothing in; give numbers above 0"
            )
        if self.keep_days is not None and not 0 < self.keep_days < math.inf:
            raise StationError(f"verdicts cannot be kept for {self.keep_days} days; give a number above 0")

    @property
    def upload(self) -> int:
        """Bytes of one request's body."""
        return round(self.upload_mb * MEGA)

    @property
    def pixels(self) -> int:
        """Pixels of one decoded image."""
        return round(self.megapixels * MEGA)

    @property
    def held(self) -> int:
        """Bytes of all uploads that are in memory."""
        return HELD * self.upload
