"""The harness are modules beside the tests, since benchmarks/faults.py and the zygote are scripts that use them too."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from scenarios import Material
from steps import NO_COMPILER, Commands


@pytest.fixture(scope="session")
def commands() -> Iterator[Commands]:
    if shutil.which("cc") is None:
        pytest.fail(NO_COMPILER)
    with Commands() as started:
        yield started


@pytest.fixture(scope="session")
def material(tiny, tiny_product, tiny_run, tiny_bundle) -> Material:
    return Material(tiny_product, tiny_run, tiny_bundle, tiny)
