"""The bundle that inspects, as its contract says now: thresholds may be changed while the station runs."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np

import protores
from protores.bundle.contract import Contract
from protores.errors import BundleError, ProtoresError
from protores.runtime.inspector import Inspector
from protores.runtime.procedure import BATCH, Procedure
from protores.runtime.products import ProductsProcedure
from protores.station.records import ModelInfo, ThresholdsInfo

logger = logging.getLogger(__name__)
RETRY_SECONDS = 1.0
"""A contract that is wrong is read again after this time: that takes hashing the model."""


@dataclass(frozen=True, eq=False)
class Current:
    """What decides at one moment. digest: of all that decides."""

    procedure: Procedure
    contract: Contract
    digest: str


class LiveModel:
    """An Inspector's engine, and what decides now. While contract.json is wrong, what decided before goes on."""

    def __init__(self, bundle: Path, runtime: str | None = None, threads: int | None = None):
        """Raises BundleError as Inspector does."""
        self._inspector = Inspector(bundle, runtime, threads)
        if isinstance(self._inspector.procedure, ProductsProcedure):
            raise BundleError(f"{bundle} knows several products, a station one; use `protores predict`, or train apart")
        self.engine = self._inspector.engine
        self.warning: str | None = None
        """Why contract.json as it is now is not used."""
        self._lock = Lock()
        self._retry = 0.0
        self._current = self._read()
        for images in range(1, BATCH + 1):  # a runtime takes its time for each number of images that it meets first
            self.engine(np.zeros((images, 3, *self._current.contract.image.size), np.float32))

    @property
    def last(self) -> Current:
        """What decided when somebody last looked: without a look at the disk."""
        return self._current

    def current(self) -> Current:
        """What decides, by contract.json as it is on the disk."""
        with self._lock:
            if self.warning is None or time.monotonic() >= self._retry:
                self._refresh()
            return self._current

    def info(self) -> ModelInfo:
        """For clients."""
        current = self.current()
        contract, decision = current.contract, current.procedure.decision
        return ModelInfo(
            product=contract.product,
            kinds=contract.kinds,
            size=contract.image.size,
            precision=contract.model.precision,
            runtime=self.engine.name,
            thresholds=ThresholdsInfo(
                good_below=decision.good_below, bad_above=decision.bad_above, map_threshold=decision.map_threshold
            ),
            digest=current.digest,
            protores=protores.__version__,
            warning=self.warning,
        )

    def _refresh(self) -> None:
        try:
            if self._inspector.procedure is not self._current.procedure:
                self._current = self._read()
                logger.warning("contract.json was changed; from now on verdicts are by %s", self._current.digest)
            self.warning = None
        except ProtoresError as error:
            if self.warning != str(error):
                logger.warning("%s; until then the station decides as before", error)
            self.warning, self._retry = str(error), time.monotonic() + RETRY_SECONDS

    def _read(self) -> Current:
        while True:
            procedure, digest = self._inspector.procedure, self._inspector.digest
            if self._inspector.procedure is procedure:  # else it changed between the two
                assert self._inspector.contract is not None
                return Current(procedure, self._inspector.contract, digest)
