"""A run's network in front of single images, in torch: for trying out what has not been exported."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from protores.bundle.contract import Image, Score, sha256_of
from protores.errors import RunError
from protores.judgement import device
from protores.model.network import PRN
from protores.run import Run
from protores.runtime.inspector import Inspector
from protores.runtime.procedure import Procedure
from protores.runtime.products import ProductsProcedure
from protores.runtime.view import Tiling
from protores.training.fit import prepare_torch


class TorchEngine:
    """The network as it was trained, in float32."""

    name = "torch"

    def __init__(self, network: PRN):
        self.network = network.to(device()).eval()

    @torch.inference_mode()
    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """See runtime.engine.Engine."""
        return self.network.anomaly_map(torch.from_numpy(images).to(device())).cpu().numpy()

    @torch.inference_mode()
    def recognise(self, images: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See runtime.engine.Engine."""
        return self(images), self.network.distances(torch.from_numpy(images).to(device())).cpu().numpy()


def inspect_run(path: Path, runtime: str | None, threads: int | None, tiling: Tiling | None) -> Inspector:
    """Raises RunError where the folder is no finished run, and for a runtime: those are for bundles."""
    run = Run(path)
    settings = run.read_settings()
    if runtime is not None:
        raise RunError(f"{path} is a run, which only torch can run; export it for {runtime}, or leave --runtime out")
    network = run.load_network(settings)
    prepare_torch(settings.training.model_copy(update={"threads": threads or settings.training.threads}), settings.seed)
    data, names = settings.data, settings.products
    image = Image(size=data.size, bit_depth=data.bit_depth or 16, keep_aspect=data.keep_aspect)
    score = Score(top=settings.model.score_top)
    procedures = {name: Procedure(image, score, *run.read_decision(settings, name), tiling=tiling) for name in names}
    procedure = ProductsProcedure(procedures) if len(names) > 1 else procedures[names[0]]
    return Inspector.of(TorchEngine(network), procedure, sha256_of(run.model))
