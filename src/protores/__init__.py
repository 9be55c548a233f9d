"""Visual inspection that learns from good images and a handful of defects.

The commands as functions, and Inspector. They are fetched when first asked for, so that `import protores` loads neither
torch nor OpenCV, and what a line needs runs where only the runtime is installed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from protores.errors import ProtoresError

if TYPE_CHECKING:
    from protores.decision.calibration import calibrate
    from protores.labels.importing import import_masks
    from protores.prediction import predict
    from protores.runtime.inspector import Inspector
    from protores.runtime.verify import verify
    from protores.workflow import check, demo, evaluate, export, preview, train

__version__ = "0.1.0"
__all__ = [
    "Inspector",
    "ProtoresError",
    "__version__",
    "calibrate",
    "check",
    "demo",
    "evaluate",
    "export",
    "import_masks",
    "predict",
    "preview",
    "train",
    "verify",
]

_WITHOUT_TORCH = {
    "Inspector": "protores.runtime.inspector",
    "calibrate": "protores.decision.calibration",
    "import_masks": "protores.labels.importing",
    "predict": "protores.prediction",
    "verify": "protores.runtime.verify",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'protores' has no attribute {name!r}")
    return getattr(import_module(_WITHOUT_TORCH.get(name, "protores.workflow")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
