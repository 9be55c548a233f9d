"""What this process may use of its machine, and what is installed there."""

import os
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version


def usable_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def installed_versions(libraries: Iterable[str]) -> dict[str, str]:
    """The versions of those of the distributions that are installed."""
    found = {}
    for name in libraries:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
