"""Where a bundle comes from: versions, run, and the backbone's weights with their licence."""

from pathlib import Path

import timm
from safetensors import SafetensorError, safe_open

from protores.bundle.contract import Origin, RunOrigin, WeightsOrigin, sha256_of
from protores.data.splits import Split
from protores.machine import installed_versions
from protores.settings import ModelSettings, Settings

LIBRARIES = ("protores", "torch", "timm", "onnx", "onnxscript", "openvino", "nncf")
LICENCE_KEYS = ("licence", "license")


def origin(settings: Settings, split: Split, licence: str | None) -> Origin:
    """licence: what the user states of the backbone's weights; None: what is known of them."""
    return Origin(
        versions=installed_versions(LIBRARIES),
        run=RunOrigin(seed=settings.seed, split=split.hash, preset=settings.preset),
        weights=_weights(settings.model, licence),
    )


def _weights(model: ModelSettings, licence: str | None) -> WeightsOrigin:
    if model.weights == "random":
        return WeightsOrigin(source="random", sha256=None, licence=licence or "none needed: started at random")
    if model.weights == "imagenet":
        config = timm.get_pretrained_cfg(model.backbone)
        tag = f"imagenet: timm {config.architecture}.{config.tag}" if config else "imagenet"
        stated = config.license if config else None
        return WeightsOrigin(source=tag, sha256=None, licence=licence or stated or "unknown: timm states none")
    path = Path(model.weights)
    if not path.is_file():
        return WeightsOrigin(source=path.name, sha256=None, licence=licence or "unknown: the file is gone")
    licence = licence or _stated(path) or "unknown: not stated in the file"
    return WeightsOrigin(source=path.name, sha256=sha256_of(path), licence=licence)


def _stated(path: Path) -> str | None:
    """What the file's own metadata says of its licence."""
    try:
        with safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError):
        return None
    return next((text for key, text in metadata.items() if key.lower() in LICENCE_KEYS and text), None)
