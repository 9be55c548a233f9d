"""Words into calls of workflow.py. Heavy imports stay inside the commands, so that --help is instant."""

import os
import sys
from pathlib import Path

from protores.cli import learning, line, scale
from protores.cli.words import app
from protores.errors import ProtoresError
from protores.files import writing

__all__ = ["app", "learning", "line", "main", "scale"]


def main() -> None:
    """The command `protores`: a ProtoresError, and what the system refuses, is one line and exit code 2.

    torch's threads are told to sleep soon while they wait for each other: beside one busy neighbour on 2 cores that
    makes training several times faster (benchmarks/threads.py).
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # what is wrong with a file is said in one line of our own
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # file names may hold what no terminal shows
    try:
        with writing(Path()):
            app()
    except ProtoresError as error:
        name = type(error).__name__
        if name == "Elsewhere":  # the first of several processes tells, and its exit code counts
            sys.exit(0)
        print(f"protores: {error}", file=sys.stderr)
        sys.exit(130 if name == "Interrupted" else 2)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        extra = next((extra for extra, names in EXTRAS.items() if missing in names), "train")
        print(f"protores: {missing} is not installed; pip install 'protores[{extra}]'", file=sys.stderr)
        sys.exit(2)
    except (MemoryError, RuntimeError) as error:
        if not (isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY)):
            raise
        print("protores: out of memory; close what else uses it, or lower data.size", file=sys.stderr)
        sys.exit(2)


NO_MEMORY = ("DefaultCPUAllocator: can't allocate memory", "CUDA out of memory")
"""What torch says of it, in errors that are of no kind of their own here."""
EXTRAS = {
    "export": ("onnx", "onnxscript", "openvino", "nncf"),
    "station": ("fastapi", "starlette", "uvicorn", "python_multipart", "prometheus_client", "anyio"),
    "ray": ("ray", "fsspec", "pyarrow"),
}
"""What the extras but `train` install, by the names that are imported."""
