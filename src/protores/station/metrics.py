"""What a station tells Prometheus, in a registry of its own."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector

from protores.runtime.procedure import BATCH

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counted since the start."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self.images = Counter("protores_images", OUTCOME, ["outcome"], registry=registry)
        self.refusals = Counter("protores_refusals", "Requests answered by an error.", ["status"], registry=registry)
        self.feedback = Counter("protores_feedback", "Verdicts that people judged.", ["label"], registry=registry)
        self.seconds = Histogram(
            "protores_image_seconds", "From a whole upload to its durable verdict.", buckets=SECONDS, registry=registry
        )
        self.engine_seconds = Histogram(
            "protores_engine_seconds", "Of one call of the network.", buckets=SECONDS, registry=registry
        )
        self.batch = Histogram(
            "protores_batch_images", "Images in a call of the network.", buckets=range(1, BATCH + 1), registry=registry
        )
        self.queue = Gauge("protores_queue_images", "Images on their way to a verdict.", registry=registry)
        self.warning = Gauge("protores_contract_wrong", "1 while contract.json cannot be used.", registry=registry)


OUTCOME = "Images by what became of them: good, look-again, bad, none (no thresholds), unreadable, too-large, failed."
