"""OpenVINO and NNCF without their telemetry: by themselves they report every import and conversion to a server."""

import importlib
import sys
from types import ModuleType


def import_quietly(name: str) -> ModuleType:
    """Imports `openvino` or `nncf` such that it makes no network call, as the tools do that lack the telemetry package.

    Raises ModuleNotFoundError where it is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return importlib.import_module(name)
