"""Words into calls of workflow.py. Heavy imports stay inside the commands, so that --help is instant."""

import os
import sys

from protores.cli import learning, line
from protores.cli.words import app
from protores.errors import ProtoresError

__all__ = ["app", "learning", "line", "main"]


def main() -> None:
    """The command `protores`: a ProtoresError is one line and exit code 2.

    torch's threads are told to sleep soon while they wait for each other: beside one busy neighbour on 2 cores that
    makes training several times faster (benchmarks/threads.py).
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # what is wrong with a file is said in one line of our own
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # file names may hold what no terminal shows
    try:
        app()
    except ProtoresError as error:
        interrupted = type(error).__name__ == "Interrupted"
        print(f"protores: {error}", file=sys.stderr)
        sys.exit(130 if interrupted else 2)
    except ModuleNotFoundError as error:
        extra = next((extra for extra, names in EXTRAS.items() if error.name in names), "train")
        print(f"protores: {error.name} is not installed; pip install 'protores[{extra}]'", file=sys.stderr)
        sys.exit(2)


EXTRAS = {
    "export": ("onnx", "onnxscript", "openvino", "nncf"),
    "station": ("fastapi", "starlette", "uvicorn", "python_multipart", "prometheus_client", "anyio"),
    "ray": ("ray",),
}
"""What the extras but `train` install, by the names that are imported."""
