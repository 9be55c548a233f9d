"""A bundle in front of images: the object that a line talks to."""

import hashlib
from pathlib import Path
from typing import Any, Self, overload

from protores.bundle.contract import NAME, Contract
from protores.errors import BundleError
from protores.runtime.engine import Engine, open_engine
from protores.runtime.procedure import BATCH, Procedure, Source
from protores.runtime.products import ProductsProcedure, procedure_of
from protores.runtime.result import Result
from protores.runtime.view import Tiling


class Inspector:
    """`inspector(image)` gives a Result, `inspector([image, ...])` a list of them, through the network in batches.

    An image is a file, the bytes of one, or an array H x W (x 1 to 4), uint8 or uint16, channels in RGB(A) order; any
    size. What contract.json decides by (thresholds, masks, areas) may be changed by hand at any time: it is read again
    when the file has changed.

    Tiling, for images so large that their defects vanish at the network's size, cuts them into overlapping tiles of
    that size. Score and regions then come from the joined map of all tiles, the score as the mean of the same share of
    its pixels. Prototypes are whole maps, and each tile is matched to them as if it were an image: that makes sense
    for a network that was trained on such tiles, or on a texture at that scale.
    """

    def __init__(
        self, bundle: str | Path, runtime: str | None = None, threads: int | None = None, tiling: Tiling | None = None
    ):
        """bundle: a folder that export wrote. runtime: openvino or onnxruntime; None: OpenVINO where it is installed.

        threads: of the network; None: all cores. tiling: None: images are resized whole.
        Raises BundleError where the bundle or the runtime cannot be used.
        """
        self._folder: Path | None = Path(bundle)
        self._stamp = _stamp(self._folder)
        self.contract: Contract | None = Contract.read(self._folder)
        self.engine = open_engine(self._folder, self.contract, runtime, threads)
        self._model = _model(self.contract)
        self._procedure = procedure_of(self._folder, self.contract, tiling)

    @classmethod
    def of(cls, engine: Engine, procedure: Procedure | ProductsProcedure, model: str) -> Self:
        """An inspector over any engine. model: a hash of what it runs."""
        inspector = cls.__new__(cls)
        inspector._folder = inspector.contract = None
        inspector.engine, inspector._procedure, inspector._model = engine, procedure, model
        return inspector

    @overload
    def __call__(self, image: Source) -> Result: ...
    @overload
    def __call__(self, image: list[Any] | tuple[Any, ...]) -> list[Result]: ...
    def __call__(self, image: Source | list[Any] | tuple[Any, ...]) -> Result | list[Result]:
        """Raises UnreadableImage for what is no image, and BundleError where contract.json was changed and is wrong."""
        if not isinstance(image, (list, tuple)):
            return self([image])[0]
        procedure, results = self.procedure, []
        for start in range(0, len(image), BATCH):
            prepared = [procedure.prepare(one) for one in image[start : start + BATCH]]
            maps = procedure.run(self.engine, prepared)
            results += [procedure.finish(one.size, found) for one, found in zip(prepared, maps, strict=True)]
        return results

    @property
    def procedure(self) -> Procedure | ProductsProcedure:
        """How images are inspected, as contract.json says now."""
        if self._folder is not None and (stamp := _stamp(self._folder)) != self._stamp:
            contract = Contract.read(self._folder)
            if _model(contract) != self._model:
                raise BundleError(f"{self._folder} holds another model than when it was opened; open it again")
            self._procedure = procedure_of(self._folder, contract, self._procedure.tiling)
            self.contract, self._stamp = contract, stamp
        return self._procedure

    @property
    def digest(self) -> str:
        """SHA-256 over model, thresholds, masks and tiling: the same one means the same results."""
        return _digest(self._model, self.procedure)


def digest_of(bundle: Path) -> str:
    """Inspector(bundle).digest, without the network in memory. Raises BundleError."""
    contract = Contract.read(bundle)
    return _digest(_model(contract), procedure_of(bundle, contract))


def _digest(model: str, procedure: Procedure | ProductsProcedure) -> str:
    return hashlib.sha256(f"{model} {procedure.digest()}".encode()).hexdigest()


def _stamp(folder: Path) -> int | None:
    """When contract.json was last changed; None where it is missing, which reading it tells."""
    try:
        return (folder / NAME).stat().st_mtime_ns
    except OSError:
        return None


def _model(contract: Contract) -> str:
    return " ".join(contract.files[name] for name in contract.model.files)
