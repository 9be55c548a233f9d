"""What is in INT8 afterwards, and what is not."""

import pytest

from protores.bundle.quantize import FLOAT
from protores.bundle.quiet import openvino_core


@pytest.fixture(scope="module")
def quantized(tiny_run, tmp_path_factory):
    from protores import workflow

    out = tmp_path_factory.mktemp("int8") / "bundle"
    workflow.export(tiny_run, out, "openvino", "int8", force=True)
    return openvino_core().read_model(out / "model.xml")


def _convolutions(model):
    return [op for op in model.get_ordered_ops() if op.get_type_name() == "Convolution"]


def _is_quantized(value) -> bool:
    """Behind a FakeQuantize, or between steps that leave INT8 as it is."""
    node = value.get_node()
    while node.get_type_name() in ("Relu", "MaxPool", "Reshape", "Transpose", "Concat"):
        node = node.input_value(0).get_node()
    return node.get_type_name() == "FakeQuantize"


def test_all_convolutions_but_the_first_are_in_int8(quantized):
    first, *others = _convolutions(quantized)
    assert not _is_quantized(first.input_value(0))
    assert len(others) > 40
    assert all(_is_quantized(op.input_value(0)) for op in others)
    for op in others:
        weights = op.input_value(1).get_node()
        while weights.get_type_name() != "Constant":
            weights = weights.input_value(0).get_node()
        assert weights.get_element_type().get_type_name() == "i8"


def test_sums_squares_and_products_are_not(quantized):
    """A residual's square spans more than 256 levels can tell apart."""
    kept = [op for op in quantized.get_ordered_ops() if op.get_type_name() in FLOAT]
    assert {"Add", "Subtract", "Multiply", "Sqrt", "MatMul"} <= {op.get_type_name() for op in kept}
    assert not any(_is_quantized(value) for op in kept for value in op.input_values())
