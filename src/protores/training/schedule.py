"""How far training is, and the learning rate that follows from it."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from protores.settings import TrainingSettings


class Schedule:
    """Progress from 0 to 1: by steps, and by time where `minutes` is the tighter bound.

    seconds: time that training may take, None for no bound; elapsed: seconds that an interrupted part took.
    """

    def __init__(self, settings: TrainingSettings, seconds: float | None = None, elapsed: float = 0.0):
        self.settings = settings
        self.seconds = seconds
        self._start = time.monotonic() - elapsed

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._start

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time inside the block does not count."""
        at = time.monotonic()
        try:
            yield
        finally:
            self._start += time.monotonic() - at

    def progress(self, step: int) -> float:
        """Share of the training that lies behind before this step, at most 1."""
        by_time = self.elapsed / self.seconds if self.seconds else 0.0
        return min(1.0, max(step / self.settings.steps, by_time))

    def remaining(self, step: int) -> float:
        """Seconds left, by the pace so far."""
        done = self.progress(step)
        return self.elapsed * (1 - done) / done if done else math.inf

    def learning_rate(self, done: float) -> float:
        """Linear warm-up over the first share `warmup`, then half a cosine down to a hundredth; done: the progress."""
        warmup = self.settings.warmup
        if done < warmup:
            return self.settings.learning_rate * max(done, 0.5 / self.settings.steps) / warmup
        cosine = 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))
        return self.settings.learning_rate * (0.01 + 0.99 * cosine)
