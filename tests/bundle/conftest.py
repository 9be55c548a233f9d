"""A bundle's folder without a network: small files that a contract names."""

from pathlib import Path

import numpy as np
import pytest

from protores.bundle.contract import Contract


@pytest.fixture
def folder(tmp_path) -> Path:
    """A bundle whose model is a few bytes; its contract reads."""
    home = tmp_path / "bundle"
    (home / "golden").mkdir(parents=True)
    (home / "model.onnx").write_bytes(b"a network")
    (home / "golden" / "0.png").write_bytes(b"an image")
    np.save(home / "golden" / "0.npy", np.zeros((64, 96), np.float32))
    contract().with_files(home, "model.onnx", "golden/0.png", "golden/0.npy").write(home)
    return home


def contract() -> Contract:
    """One without hashes."""
    return Contract.model_validate(
        {
            "product": "board",
            "kinds": ("bent", "scratch"),
            "seen_kinds": ("bent",),
            "model": {
                "file": "model.onnx", "format": "onnx", "precision": "f32", "opset": 18, "backbone": "resnet18",
                "prototypes": 3,
            },
            "image": {"size": (64, 96), "bit_depth": 12, "keep_aspect": False},
            "map": {"size": (64, 96)},
            "score": {"top": 0.01},
            "golden": {
                "bound": 1e-4,
                "samples": ({"image": "golden/0.png", "map": "golden/0.npy", "score": 0.0, "kind": "good"},),
            },
            "files": {},
            "origin": {
                "versions": {"protores": "0.1.0"},
                "run": {"seed": 0, "split": "abc", "preset": "quick"},
                "weights": {"source": "random", "sha256": None, "licence": "none"},
            },
        }
    )  # fmt: skip
