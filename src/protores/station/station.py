"""A station without its HTTP: the model, the queue, the threads, and the store."""

import logging
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

from protores.station.batcher import Batcher
from protores.station.limits import Limits
from protores.station.live import LiveModel
from protores.station.metrics import Metrics
from protores.station.queue import Queue
from protores.station.records import stamp
from protores.station.store import Store

logger = logging.getLogger(__name__)
FORGET_SECONDS = 3600.0


class Station:
    """Opens a bundle and a store, and inspects until it is closed."""

    def __init__(
        self,
        bundle: Path,
        store: Path,
        limits: Limits | None = None,
        runtime: str | None = None,
        threads: int | None = None,
    ):
        """runtime, threads: as for an Inspector. Raises BundleError and StationError."""
        self.limits = limits or Limits()
        self.model = LiveModel(bundle, runtime, threads)
        self.store = Store(store, serving=True)
        self.metrics = Metrics()
        self.queue = Queue(self.limits)
        self.batcher = Batcher(self.model, self.store, self.queue, self.metrics)
        self.metrics.queue.set_function(lambda: self.queue.taken)
        self.metrics.warning.set_function(lambda: self.model.warning is not None)
        self._closed = Event()
        self._forgetting = Thread(target=self._forget, name="forget", daemon=True)
        self._forgetting.start()

    def close(self) -> None:
        """Finishes what was accepted; a second time nothing happens."""
        self._closed.set()
        self._forgetting.join()
        self.batcher.close()
        self.store.close()

    def _forget(self) -> None:
        """Now and every hour: verdicts that are older than they are kept."""
        while self.limits.keep_days is not None:
            try:
                self.store.forget(stamp(datetime.now(UTC) - timedelta(days=self.limits.keep_days)))
            except sqlite3.Error as error:
                logger.warning("old verdicts could not be forgotten: %s", error)
            if self._closed.wait(FORGET_SECONDS):
                return
