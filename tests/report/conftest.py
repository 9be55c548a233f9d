"""A bundle on the toy product with thresholds, and the page about it: no training, no torch."""

from pathlib import Path

import pytest

from protores.bundle.contract import Contract
from protores.data.layouts import recognise
from protores.decision.inspected import Inspected, inspect_images
from protores.progress import Progress
from protores.report.page import report
from protores.subject import Subject


@pytest.fixture
def board(make_bundle) -> Path:
    """It knows two of the toy's kinds; its scores are those of a random convolution."""
    home = make_bundle(size=(64, 64), bit_depth=8, map_threshold=0.9, good_below=0.97, bad_above=0.98)
    seen = ("missing_component", "solder_bridge")
    Contract.read(home).model_copy(update={"product": "board", "seen_kinds": seen}).write(home)
    return home


@pytest.fixture
def inspected(board, tiny_product) -> list[Inspected]:
    """The toy's 20 test images."""
    samples = [sample for sample in recognise(tiny_product).samples if sample.part == "test"]
    return inspect_images(Subject.open(board), samples, lambda record: True, Progress())


@pytest.fixture
def page(board, tiny_product, tmp_path) -> Path:
    report(board, tmp_path / "report.html", tiny_product)
    return tmp_path / "report.html"
