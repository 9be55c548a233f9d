"""OpenVINO and NNCF without their telemetry: by themselves they report every import and conversion to a server."""

import importlib
import sys
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import openvino


def import_quietly(name: str) -> ModuleType:
    """Imports `openvino` or `nncf` such that it makes no network call, as the tools do that lack the telemetry package.

    Raises ModuleNotFoundError where it is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return importlib.import_module(name)


@cache
def openvino_core() -> "openvino.Core":
    """The one Core of this process, never destroyed.

    A Core's CPU plugin puts its own stack in place for signals, and with the Core that stack is freed. Where several
    Cores overlap, the one freed may be the one in place: the next Ctrl-C or SIGTERM then kills the process.
    """
    return import_quietly("openvino").Core()
