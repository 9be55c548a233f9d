"""A run's folder: what is in it, written whole or not at all, and no pickle anywhere."""

import hashlib
import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from protores import presets
from protores.bundle.contract import Decision, sha256_of
from protores.data.folders import images_in
from protores.data.image import read_mask
from protores.data.splits import Split
from protores.errors import RunError
from protores.files import write_json, write_text
from protores.machine import installed_versions, processor, usable_cores
from protores.model.network import PRN, build_network
from protores.settings import Settings
from protores.training.checkpoint import save_tensors
from protores.training.fit import use_bf16

LIBRARIES = ("protores", "torch", "torchvision", "timm", "lightning", "scikit-learn", "numpy", "opencv-python-headless")
Mask = NDArray[np.uint8] | None


@dataclass(frozen=True)
class Run:
    """The paths of a run and how its parts are written and read."""

    path: Path

    @property
    def settings(self) -> Path:
        return self.path / "settings.json"

    @property
    def split(self) -> Path:
        return self.path / "split.json"

    @property
    def model(self) -> Path:
        return self.path / "model.safetensors"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.json"

    @property
    def history(self) -> Path:
        return self.path / "history.csv"

    @property
    def environment(self) -> Path:
        return self.path / "environment.json"

    @property
    def decision(self) -> Path:
        """Thresholds, masks and areas, once `protores calibrate` has set them."""
        return self.path / "decision.json"

    def decision_of(self, settings: Settings, product: str) -> Path:
        """The same of one of several products; where there is one alone, its."""
        return self.path / f"decision-{product}.json" if settings.data.products else self.decision

    @property
    def work(self) -> Path:
        """What only an unfinished training needs."""
        return self.path / "unfinished"

    @property
    def checkpoint(self) -> Path:
        return self.work / "checkpoint.safetensors"

    @property
    def exists(self) -> bool:
        """Something is there, and be it a file in the folder's place; not what a kill in the first moment leaves."""
        return self.path.exists() and not (
            self.path.is_dir() and all(child.suffix == ".part" for child in self.path.iterdir())
        )

    @property
    def is_complete(self) -> bool:
        return self.model.exists() and self.metrics.exists()

    def create(self, settings: Settings, split: Split) -> None:
        """Makes the folder with settings, split and environment. Raises RunError where it cannot be written."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{self.path} cannot be made ({error.strerror}); pass another --out") from error
        # The settings come first: with them a run that was cut off here is one that --resume goes on with.
        write_text(self.settings, settings.model_dump_json(indent=2) + "\n")
        write_text(self.split, split.to_json() + "\n")
        write_json(self.environment, environment(settings))
        self.work.mkdir(exist_ok=True)

    def read_settings(self) -> Settings:
        return presets.from_json(self._read(self.settings))

    def read_split(self) -> Split:
        return Split.from_json(self._read(self.split))

    def read_environment(self) -> dict[str, Any]:
        return self._read_json(self.environment)

    def read_metrics(self) -> dict[str, Any]:
        return self._read_json(self.metrics)

    def read_decision(self, settings: Settings, product: str) -> tuple[Decision, Mask, Mask]:
        """What a product is decided by, with the ignore and region-of-interest masks (uint8 {0, 1}, or None).

        Before calibration: the threshold that outlines, and the masks of training. Raises RunError for a file that is
        no decision, DataError for masks that cannot be read.
        """
        path = self.decision_of(settings, product)
        if not path.exists():
            masks = settings.data.ignore, settings.data.roi
            metrics = self.read_metrics()
            threshold = metrics.get("map_thresholds", {}).get(product, metrics.get("map_threshold"))
            return Decision(map_threshold=threshold), *(None if mask is None else read_mask(mask) for mask in masks)
        try:
            decision = Decision.model_validate_json(self._read(path))
        except ValidationError as error:
            raise RunError(f"{path} is no decision; delete it and run `protores calibrate` again") from error
        names = decision.ignore, decision.roi
        return decision, *(None if name is None else read_mask(self.path / name) for name in names)

    def facts(self) -> dict[str, Any]:
        """What the run depends on and how it went, for people."""
        split, metrics = self.read_split(), self.read_metrics()
        trained = {key: metrics.get(key) for key in ("steps", "seconds", "images_per_second")}
        return {
            "split": {"images": split.counts, "notes": list(split.notes), "sha256": split.hash},
            "training": trained,
            "machine": self.read_environment(),
            "settings": self._read_json(self.settings),
            "files": {path.name: sha256_of(path) for path in (self.model, self.split, self.settings)},
        }

    def save_network(self, network: PRN) -> None:
        """Network, prototypes (in half precision) and running averages, under their names in the network."""
        prototypes = ".prototypes.maps_"
        save_tensors(
            self.model,
            {name: t.half() if prototypes in name else t for name, t in network.state_dict().items()},
            {"format": "protores-1"},
        )

    def read_model(self) -> dict[str, Tensor]:
        """What save_network wrote. Raises RunError where it is not there or damaged."""
        if not self.model.exists():
            raise RunError(f"{self.path} has no trained model; finish it with `protores train ... --resume`")
        try:
            return load_file(self.model)
        except (SafetensorError, OSError) as error:
            raise RunError(f"{self.model} cannot be read; restore the file or train anew") from error

    def load_network(self, settings: Settings) -> PRN:
        """The trained network in eval mode. Raises RunError where the run is incomplete or does not fit."""
        state = self.read_model()
        prototypes, images = (_sizes(state, f"prototypes.{name}_0", settings) for name in ("norms", "clusters"))
        try:
            network = build_network(settings.model, settings.data.size, images, prototypes, weights="random")
            network.load_state_dict({name: t.float() if t.dtype == torch.float16 else t for name, t in state.items()})
        except RuntimeError as error:
            raise RunError(f"{self.model} does not fit {self.settings.name}; restore both or train anew") from error
        return network.to(memory_format=torch.channels_last).eval()

    def _read(self, path: Path) -> str:
        try:
            return path.read_text(encoding="utf-8")
        except OSError as error:
            raise RunError(
                f"{self.path} is no run ({path.name} is missing); pass the folder that train wrote"
            ) from error
        except UnicodeDecodeError as error:
            raise RunError(f"{path} is no text; restore the file or train anew") from error

    def _read_json(self, path: Path) -> dict[str, Any]:
        try:
            content = json.loads(self._read(path))
        except (ValueError, RecursionError) as error:
            raise RunError(f"{path} is not JSON; restore the file or train anew") from error
        if not isinstance(content, dict):
            raise RunError(f"{path} holds no JSON object; restore the file or train anew")
        return content


def _sizes(state: Mapping[str, Tensor], name: str, settings: Settings) -> int | list[int]:
    """Numbers in a tensor of the residuals; where there are several products, of each."""
    none = torch.zeros(0)
    if not settings.data.products:
        return state.get(f"residuals.{name}", none).numel()
    places = range(len(settings.data.products))
    return [state.get(f"residuals.products.{place}.{name}", none).numel() for place in places]


def environment(settings: Settings) -> dict[str, Any]:
    """What a run depends on besides settings and images: machine, versions, precision, threads, and other files."""
    start = settings.training.warm_start
    return {
        "command": sys.argv[:1] and [Path(sys.argv[0]).name, *sys.argv[1:]],
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": processor(),
        "cores": usable_cores(),
        "threads": settings.training.threads or usable_cores(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "precision": "bf16" if use_bf16(settings.training) else "f32",
        "versions": installed_versions(LIBRARIES),
        "files": {
            "weights": _digest(Path(settings.model.weights)),
            "textures": None if settings.synthesis.textures is None else _digest(settings.synthesis.textures),
            "warm start": None if start is None else _digest(Run(start).model),
        },
    }


def _digest(path: Path) -> str | None:
    """SHA-256 of a file, or over the names and sizes of the images in a folder; None for what is neither."""
    if path.is_file():
        return sha256_of(path)
    if not path.is_dir():
        return None
    names = [f"{image.relative_to(path).as_posix()} {image.stat().st_size}" for image in images_in(path, deep=True)]
    return hashlib.sha256("\n".join(names).encode("utf-8", "surrogateescape")).hexdigest()
