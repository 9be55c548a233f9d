"""Visual inspection that learns from good images and a handful of defects.

The commands as functions. They are fetched when first asked for, so that `import protores` loads neither torch nor
OpenCV.
"""

from typing import TYPE_CHECKING, Any

from protores.errors import ProtoresError

if TYPE_CHECKING:
    from protores.workflow import check, demo, evaluate, predict, preview, train

__version__ = "0.1.0"
__all__ = ["ProtoresError", "__version__", "check", "demo", "evaluate", "predict", "preview", "train"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'protores' has no attribute {name!r}")
    from protores import workflow

    return getattr(workflow, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
