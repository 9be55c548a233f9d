"""What an input may cost: seconds, after which the process is ended, and memory, looked at over many of them."""

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST = 30
"""Seconds for one input; more is a hang. The signal ends the process, whatever C code it is in."""
GROWTH = 256
"""MiB that a reader may come to hold over many inputs: its largest image, and what libraries keep."""


@contextmanager
def in_time() -> Iterator[None]:
    """One input."""
    signal.alarm(LONGEST)
    try:
        yield
    finally:
        signal.alarm(0)


def resident() -> int:
    """MiB of memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20


def peak() -> int:
    """MiB of memory that it held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
