"""Both runtimes give what the network means; what cannot be run is one line with its cure."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

from protores.bundle.contract import Contract
from protores.bundle.quiet import openvino_core
from protores.data.image import network_input
from protores.errors import BundleError
from protores.runtime import engine as engines
from protores.runtime.engine import RUNTIMES, open_engine, runtimes_for


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("threads", [None, 1])
@pytest.mark.parametrize("count", [1, 3, 8])
def test_any_batch_gives_the_networks_maps(bundle, convolved, rng, runtime, threads, count):
    images = rng.integers(0, 256, (count, 64, 96, 3), dtype=np.uint8)
    engine = open_engine(bundle, Contract.read(bundle), runtime, threads)
    maps = engine(network_input(images))
    assert engine.name == runtime
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, [convolved(image) for image in images], atol=1e-5)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_maps_stay_when_the_engine_runs_again(bundle, rng, runtime):
    engine = open_engine(bundle, Contract.read(bundle), runtime)
    first = engine(rng.random((1, 3, 64, 96), np.float32))
    kept = first.copy()
    engine(rng.random((1, 3, 64, 96), np.float32))
    np.testing.assert_array_equal(first, kept)


@pytest.fixture
def converted(bundle):
    """The bundle as OpenVINO IR."""
    import openvino

    openvino.save_model(openvino.convert_model(bundle / "model.onnx"), bundle / "model.xml", compress_to_fp16=False)
    values = json.loads((bundle / "contract.json").read_text())
    values["model"] |= {"file": "model.xml", "format": "openvino"}
    contract = Contract.model_validate_json(json.dumps(values)).with_files(bundle, "model.xml", "model.bin")
    contract.write(bundle)
    return bundle


def test_an_openvino_model_runs_in_openvino_only(converted, convolved, rng):
    contract = Contract.read(converted)
    assert runtimes_for(contract) == ["openvino"]
    image = rng.integers(0, 256, (64, 96, 3), dtype=np.uint8)
    found = open_engine(converted, contract)(network_input(image[None]))[0]
    np.testing.assert_allclose(found, convolved(image), atol=1e-5)
    with pytest.raises(BundleError, match="cannot run an OpenVINO model; take openvino, or export with --format onnx"):
        open_engine(converted, contract, "onnxruntime")


@pytest.mark.parametrize(("precision", "expected"), [("f32", "f32"), ("bf16", "bf16"), ("int8", "bf16")])
def test_openvino_computes_in_the_contracts_precision(converted, precision, expected):
    if expected == "bf16" and "BF16" not in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor has no bf16")
    values = json.loads((converted / "contract.json").read_text())
    values["model"]["precision"] = precision
    engine = open_engine(converted, Contract.model_validate_json(json.dumps(values)), threads=1)
    for count in (1, 2):
        engine(np.zeros((count, 3, 64, 96), np.float32))
    for request in engine.requests.values():
        compiled = request.get_compiled_model()
        assert compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == expected
        assert compiled.get_property("INFERENCE_NUM_THREADS") == 1


def test_openvino_keeps_shapes_fixed_for_one_image_and_open_for_more(converted):
    engine = open_engine(converted, Contract.read(converted), "openvino")
    for count in (1, 2, 5, 1):
        engine(np.zeros((count, 3, 64, 96), np.float32))
    shapes = [request.get_compiled_model().input().get_partial_shape() for request in engine.requests.values()]
    assert [shape.is_static for shape in shapes] == [True, False]


def test_openvino_comes_first_and_is_not_needed(bundle, monkeypatch):
    contract = Contract.read(bundle)
    assert open_engine(bundle, contract).name == "openvino"
    find = engines.find_spec
    monkeypatch.setattr(engines, "find_spec", lambda name: None if name == "openvino" else find(name))
    assert runtimes_for(contract) == ["onnxruntime"]
    assert open_engine(bundle, contract).name == "onnxruntime"
    with pytest.raises(BundleError, match=r"openvino is not installed; pip install 'protores\[openvino\]'"):
        open_engine(bundle, contract, "openvino")


def test_an_openvino_model_without_openvino(converted, monkeypatch):
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    with pytest.raises(BundleError, match="openvino is not installed"):
        open_engine(converted, Contract.read(converted))


def test_an_unknown_runtime(bundle):
    with pytest.raises(BundleError, match="unknown runtime 'tensorrt'; choose openvino or onnxruntime"):
        open_engine(bundle, Contract.read(bundle), "tensorrt")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_model_that_is_none(bundle, runtime):
    contract = Contract.read(bundle)
    (bundle / "model.onnx").write_bytes(b"no network")
    with pytest.raises(BundleError, match=r"cannot run the model \(.*\); export it anew") as caught:
        open_engine(bundle, contract, runtime)
    assert "\n" not in str(caught.value)


CODE = """
import sys
import numpy as np
from protores import Inspector
inspector = Inspector(sys.argv[1], runtime=sys.argv[2])
found = inspector([np.zeros((50, 60), np.uint8), sys.argv[3]])
assert len(found) == 2, found
heavy = {m.split(".")[0] for m in sys.modules} & {"torch", "torchvision", "lightning", "pytorch_lightning", "timm",
                                                   "sklearn", "scipy", "onnx", "nncf", "tifffile"}
assert not heavy, heavy
"""


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_line_imports_nothing_of_training(bundle, tmp_path, image, runtime):
    path = tmp_path / "image.png"
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    done = subprocess.run([sys.executable, "-c", CODE, bundle, runtime, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


SIGNALLED = """
import faulthandler, gc, os, signal, sys
from pathlib import Path
from protores.bundle.contract import Contract
from protores.runtime.engine import open_engine

faulthandler.enable()
folder = Path(sys.argv[1])
kept, other = (open_engine(folder, Contract.read(folder), "openvino", 1) for _ in range(2))
del kept
gc.collect()
del other
gc.collect()
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_a_signal_after_overlapping_engines_reaches_python(bundle):
    done = subprocess.run([sys.executable, "-c", SIGNALLED, bundle], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr
