"""verify passes what is right and fails what is not, without torch."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from protores.bundle.contract import Contract
from protores.errors import BundleError
from protores.runtime.verify import Checked, Verification, verify


@pytest.fixture
def bundle(tiny_bundle, tmp_path):
    return shutil.copytree(tiny_bundle, tmp_path / "bundle")


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_passes_in_both_runtimes(bundle, runtime):
    verification = verify(bundle, runtime)
    assert verification.passed
    assert len(verification.samples) == len(Contract.read(bundle).golden.samples)
    assert list(verification.lines())[-1].startswith(f"pass: {runtime}, f32")


@pytest.mark.parametrize("wrong", [2e-4, np.nan])
def test_a_map_beyond_the_bound_fails_and_is_named(bundle, wrong):
    path = bundle / "golden" / "1.npy"
    changed = np.load(path)
    changed[3, 5] += wrong
    np.save(path, changed)
    contract = Contract._parse(bundle)
    contract.with_files(bundle, "golden/1.npy").write(bundle)
    verification = verify(bundle, "onnxruntime")
    assert not verification.passed
    lines = list(verification.lines())
    assert [line.split()[1] for line in lines if line.startswith("FAIL  ")] == ["golden/1.png"]
    assert lines[-1].startswith("FAIL")


def test_a_changed_file_is_refused_before_anything_runs(bundle):
    content = bytearray((bundle / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / "model.onnx").write_bytes(content)
    with pytest.raises(BundleError, match="model.onnx was changed"):
        verify(bundle)


def checked(score, found):
    return Checked("golden/0.png", "good", score, found, 0.0)


@pytest.mark.parametrize(
    ("pairs", "passed"),
    [
        ([(0.1, 0.1), (0.5, 0.5), (0.3, 0.3)], True),
        ([(0.1, 0.4), (0.5, 0.3)], False),
        ([(0.1, 0.3), (0.5, 0.3)], False),
        ([(0.30, 0.34), (0.34, 0.30)], True),
        ([(0.1, np.nan), (0.5, 0.5)], False),
    ],
)
def test_scores_further_apart_than_the_bound_keep_their_order(pairs, passed):
    samples = tuple(checked(*pair) for pair in pairs)
    assert Verification("onnxruntime", "int8", 0.05, samples).passed is passed


def test_loads_no_torch(bundle):
    code = f"""import sys
sys.argv = ["protores", "verify", {str(bundle)!r}]
import protores.cli
try:
    protores.cli.main()
except SystemExit as end:
    assert not end.code, end.code
loaded = {{"torch", "lightning", "timm", "sklearn", "pandas"}} & set(sys.modules)
assert not loaded, loaded"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "pass: " in done.stdout
