"""A trained run or a bundle as an Inspector: one way from an image to its result, whatever runs the network."""

from pathlib import Path

from protores.bundle.contract import NAME
from protores.runtime.inspector import Inspector
from protores.runtime.view import Tiling


def open_inspector(
    source: Path, runtime: str | None = None, threads: int | None = None, tiling: Tiling | None = None
) -> Inspector:
    """source: a bundle, or a run, which torch runs (runtime and threads are a bundle's).

    Raises BundleError, or RunError for what is neither.
    """
    if (source / NAME).exists():
        return Inspector(source, runtime, threads, tiling)
    from protores.inspected_run import inspect_run

    return inspect_run(source, runtime, threads, tiling)
