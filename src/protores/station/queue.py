"""Places for images between their first byte and their verdict: where all are taken, a client has to come again."""

import math
from threading import Lock

from protores.station.limits import MEGA, Limits
from protores.station.refusal import Refusal

LONGEST_WAIT = 60
"""Seconds that Retry-After asks for at most."""


class Queue:
    """Counts images and bytes that are on their way; for any thread."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self.taken = self.held = 0
        self._pace = 0.05
        self._lock = Lock()

    def enter(self) -> None:
        """Takes a place for an image. Raises Refusal where there is none."""
        with self._lock:
            if self.taken >= self.limits.queue:
                raise Refusal(429, f"the queue is full ({self.limits.queue} images); try again later", self._wait())
            self.taken += 1

    def hold(self, size: int) -> None:
        """Counts bytes that came in. Raises Refusal where too many are held."""
        with self._lock:
            if self.held + size > self.limits.held:
                held = round(self.held / MEGA)
                raise Refusal(429, f"the queue is full ({held} MB are waiting); try again later", self._wait())
            self.held += size

    def leave(self, images: int, size: int) -> None:
        """Gives places and bytes back."""
        with self._lock:
            self.taken -= images
            self.held -= size

    def done(self, images: int, seconds: float) -> None:
        """Tells how long the network took for some images, from which waiting times are foretold."""
        with self._lock:
            self._pace += 0.1 * (seconds / images - self._pace)

    def _wait(self) -> int:
        return max(1, min(LONGEST_WAIT, math.ceil(self.taken * self._pace)))
