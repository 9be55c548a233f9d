"""A station without its HTTP: the model, the queue, the threads, and the store."""

from pathlib import Path

from protores.station.batcher import Batcher
from protores.station.limits import Limits
from protores.station.live import LiveModel
from protores.station.metrics import Metrics
from protores.station.queue import Queue
from protores.station.store import Store


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

    def close(self) -> None:
        """Finishes what was accepted; a second time nothing happens."""
        self.batcher.close()
        self.store.close()
