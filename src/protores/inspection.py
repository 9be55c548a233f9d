"""A trained run or a bundle as an Inspector: one way from an image to its result, whatever runs the network."""

from pathlib import Path

from protores.bundle.contract import NAME
from protores.errors import BundleError
from protores.runtime.inspector import Inspector
from protores.runtime.view import Tiling


def open_inspector(
    source: Path, runtime: str | None = None, threads: int | None = None, tiling: Tiling | None = None
) -> Inspector:
    """source: a bundle, or a run, which torch runs (runtime and threads are a bundle's).

    Raises BundleError where it is neither, or a bundle that cannot be used, and RunError likewise for a run.
    """
    if (source / NAME).exists():
        return Inspector(source, runtime, threads, tiling)
    if not (source / "settings.json").exists():
        raise BundleError(f"{source} is neither a bundle nor a run; pass a folder that export or train wrote")
    from protores.inspected_run import inspect_run

    return inspect_run(source, runtime, threads, tiling)
