"""A process that has imported everything, and forks once for every command: each then takes no longer than its work.

    LD_PRELOAD=steps.so python zygote.py

Reads a JSON object a line, {"words": [...], "out": PATH, "err": PATH, "fault": null | {...}} (steps.Fault), runs
`protores WORDS` in a child with that fault armed, and answers with the child's exit code, negative for a signal. The
conversion to ONNX, which writes nothing, takes ten seconds and is done once for all.
"""

import ctypes
import importlib
import json
import os
import sys
from pathlib import Path

import onnx

MODULES = (
    "protores.workflow",
    "protores.report.page",
    "protores.decision.calibration",
    "protores.labels.importing",
    "protores.station.feedback",
    "protores.console",
    "lightning.pytorch",
    "onnxscript",
    "onnxruntime",
)


def convert_once() -> None:
    """The first network that is converted is the one that all conversions give: every trial exports the same."""
    from protores.bundle import export

    kept, convert = Path(os.environ["STEPS_HOME"]) / "converted.onnx", export.to_onnx

    def to_onnx(*args):
        if not kept.exists():
            onnx.save(convert(*args), kept)
        return onnx.load(kept)

    export.to_onnx = to_onnx


def child(request: dict) -> None:
    """Becomes the command."""
    from protores import cli
    from protores.training import fit
    from protores.training.callbacks import Checkpoints

    # A checkpoint after every step, so that every step is one to go on from.
    fit.Checkpoints = lambda path, **more: Checkpoints(path, seconds=0.0, **more)
    for number, path in ((1, request["out"]), (2, request["err"])):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    sys.argv = ["protores", *request["words"]]
    if fault := request["fault"]:
        log = os.open(fault["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        root, act = os.fsencode(fault["root"]), fault["act"]
        ctypes.CDLL(None).steps_arm(root, fault["watched"], ctypes.c_long(fault["at"]), act, fault["error"], log)
    cli.main()


def run(request: dict) -> int:
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 1
    try:
        child(request)
        code = 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    for name in MODULES:
        importlib.import_module(name)
    convert_once()
    for line in sys.stdin:
        code = run(json.loads(line))
        print(json.dumps(code), flush=True)


if __name__ == "__main__":
    main()
