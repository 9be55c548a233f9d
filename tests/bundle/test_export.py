"""A run becomes a bundle that gives what torch gives; or nothing is left behind."""

import json
import pickletools
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from protores import workflow
from protores.bundle import export as exporting
from protores.bundle import golden
from protores.bundle.contract import Contract, sha256_of
from protores.bundle.convert import OPSET
from protores.data.image import network_input, read_image
from protores.data.uses import Uses
from protores.decision.calibration import calibrate
from protores.decision.request import Request
from protores.errors import BundleError, RunError
from protores.progress import Progress
from protores.run import Run
from protores.runtime.engine import open_engine
from protores.runtime.verify import verify

ONNX = {"contract.json", "images.json", "model.onnx", "golden"}
OPENVINO = {"contract.json", "images.json", "model.bin", "model.xml", "golden"}
BOTH = [("onnx", "onnxruntime"), ("onnx", "openvino"), ("openvino", "openvino")]


@pytest.fixture(scope="module")
def network(tiny_run):
    run = Run(tiny_run)
    return run.load_network(run.read_settings())


@pytest.fixture(scope="module")
def bundles(tiny_run, tiny_bundle, tmp_path_factory) -> dict[str, Path]:
    """One in each format, in f32; the ONNX graph is traced once only. Not to be changed."""
    out = tmp_path_factory.mktemp("bundles") / "openvino"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "to_onnx", lambda module, size: onnx.load(tiny_bundle / "model.onnx"))
        workflow.export(tiny_run, out, "openvino")
    return {"onnx": tiny_bundle, "openvino": out}


@pytest.fixture
def export(tiny_run, tmp_path, bundles, monkeypatch):
    """export(precision=...): the tiny run with the graph that is known already; the bundle's folder."""

    def call(out: Path = tmp_path / "bundle", run: Path = tiny_run, **options) -> Path:
        workflow.export(run, out, **options)
        return out

    monkeypatch.setattr(exporting, "to_onnx", lambda module, size: onnx.load(bundles["onnx"] / "model.onnx"))
    return call


# What a bundle holds


@pytest.mark.parametrize(("format", "held"), [("onnx", ONNX), ("openvino", OPENVINO)])
def test_holds_what_its_contract_names_and_no_pickle(bundles, format, held):
    folder = bundles[format]
    contract = Contract.read(folder)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.name for path in folder.iterdir()} == held
    assert {path.relative_to(folder).as_posix() for path in files} == {"contract.json", *contract.files}
    for path in files:
        with pytest.raises(Exception):  # noqa: B017, PT011
            list(pickletools.genops(path.read_bytes()))


def test_contract_tells_of_the_run(bundles, tiny_run, tiny_product):
    contract = Contract.read(bundles["onnx"])
    metrics = json.loads((tiny_run / "metrics.json").read_text())
    assert contract.product == tiny_product.name
    assert len(contract.kinds) == 5
    assert contract.decision.map_threshold == metrics["map_threshold"]
    assert contract.origin.run.split == metrics["split"]
    assert contract.origin.weights.source == "random"
    assert {"protores", "torch", "onnx"} <= set(contract.origin.versions)
    assert contract.image.size == contract.map.size == (64, 64)
    assert contract.golden.bound == 1e-4
    uses = Uses.from_json((bundles["onnx"] / "images.json").read_text())
    assert set(uses.roles.values()) == {"train", "seen", "calibration", "test"}


def test_golden_samples_are_calibration_images_with_what_torch_gives(bundles, network, tiny_run):
    contract = Contract.read(bundles["onnx"])
    images, maps = golden.read(bundles["onnx"], contract)
    samples = contract.golden.samples
    assert {"good", "simulated"} <= {sample.kind for sample in samples}
    settings = Run(tiny_run).read_settings()
    found, scores = exporting.score_images(network, images, settings.model.score_top)
    np.testing.assert_allclose(maps, found, atol=1e-6)
    np.testing.assert_allclose([sample.score for sample in samples], scores, atol=1e-6)
    entries = [entry for entry in Run(tiny_run).read_split().entries if entry.role == "test"]
    tested = {read_image(settings.data.root / entry.path).tobytes() for entry in entries}
    assert not tested & {image.tobytes() for image in images}


def test_the_graph_has_any_batch_its_opset_and_half_prototypes(bundles):
    model = onnx.load(bundles["onnx"] / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    shape = model.graph.input[0].type.tensor_type.shape.dim
    assert shape[0].dim_param
    assert [d.dim_value for d in shape[1:]] == [3, 64, 64]
    assert [tensor.name for tensor in (*model.graph.input, *model.graph.output)] == ["image", "anomaly_map"]
    prototypes = [tensor for tensor in model.graph.initializer if ".prototypes.maps_" in tensor.name]
    assert [tensor.data_type for tensor in prototypes] == 3 * [onnx.TensorProto.FLOAT16]


@pytest.mark.parametrize("name", ["onnx/model.onnx", "openvino/model.xml", "onnx/contract.json"])
def test_no_path_of_this_machine_is_in_a_bundle(bundles, name):
    content = (bundles[name.split("/")[0]] / name.split("/")[1]).read_bytes()
    for path in (Path(workflow.__file__).parent, Path(torch.__file__).parent, Path.home() / "x", Path.cwd()):
        assert str(path).encode() not in content


# It gives what torch gives


@pytest.mark.parametrize("batch", [1, 2, 8])
@pytest.mark.parametrize(("format", "runtime"), BOTH)
def test_maps_of_any_batch_are_those_of_torch(bundles, network, format, runtime, batch, rng):
    contract = Contract.read(bundles[format])
    engine = open_engine(bundles[format], contract, runtime, threads=1)
    golden_images, _ = golden.read(bundles[format], contract)
    noise = rng.integers(0, 256, (8, 64, 64, 3), dtype=np.uint8)
    for images in (golden_images[:batch], noise[:batch]):
        given = network_input(images)
        with torch.inference_mode():
            wanted = network.anomaly_map(torch.from_numpy(given)).numpy()
        found = engine(given)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("format", "runtime"), BOTH)
def test_verify_passes(bundles, format, runtime):
    verification = verify(bundles[format], runtime, threads=1)
    assert verification.passed
    assert verification.runtime == runtime
    assert verification.deviation < 1e-5


def test_bf16_states_its_bound_and_passes(export):
    folder = export(format="openvino", precision="bf16")
    contract = Contract.read(folder)
    assert contract.model.precision == "bf16"
    assert contract.golden.bound == exporting.REDUCED_BOUND
    assert verify(folder, threads=1).passed


@pytest.mark.parametrize(("format", "runtime"), [("onnx", "onnxruntime"), ("openvino", "openvino")])
def test_int8_states_its_cost_and_passes(export, format, runtime, monkeypatch):
    monkeypatch.setattr(exporting, "COST", {"image_auroc": 1.0, "pixel_ap": 1.0})
    folder = export(format=format, precision="int8")
    cost = Contract.read(folder).model.quantization
    assert cost.calibrated_on > 10
    assert cost.judged_on > 0
    assert not cost.forced
    assert 0 <= cost.image_auroc.int8 <= 1
    assert 0 <= cost.pixel_ap.f32 <= 1
    assert verify(folder, runtime, threads=1).passed
    model = (folder / ("model.onnx" if format == "onnx" else "model.xml")).read_bytes()
    assert b"QuantizeLinear" in model or b"FakeQuantize" in model


def test_int8_that_costs_too_much_is_refused_unless_forced(export, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "COST", {"image_auroc": -1.5, "pixel_ap": 1.5})
    with pytest.raises(BundleError, match=r"INT8 costs .* points of image AUROC \(allowed: -150.0\).*pass --force"):
        export(precision="int8")
    assert list(tmp_path.iterdir()) == []
    assert Contract.read(export(precision="int8", force=True)).model.quantization.forced


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ((0.95, 0.60), (0.949, 0.592), None),
        ((0.95, 0.60), (0.97, 0.70), None),
        ((0.95, 0.60), (0.947, 0.60), "0.30 points of image AUROC (allowed: 0.2)"),
        ((0.95, 0.60), (0.95, 0.588), "1.20 points of pixel AP (allowed: 1.0)"),
        ((None, None), (None, None), "cannot be measured"),
    ],
)
def test_what_int8_may_cost(before, after, told):
    figures = {
        name: exporting.Figure(f32=x, int8=y)
        for name, x, y in zip(("image_auroc", "pixel_ap"), before, after, strict=True)
    }
    refusal = exporting._refusal(figures)
    assert refusal is None if told is None else told in refusal


@pytest.mark.parametrize(
    ("precision", "found", "bound"),
    [("f32", 9e-5, 1e-4), ("bf16", 0.001, 0.02), ("bf16", 0.03, 0.06), ("int8", 0.7, 1.0)],
)
def test_the_bound_follows_from_what_was_found(precision, found, bound):
    assert exporting._bound(precision, found) == bound


@pytest.mark.parametrize(("precision", "found"), [("f32", 1.1e-4), ("f32", np.nan), ("bf16", np.nan), ("int8", np.nan)])
def test_no_bound_for_a_graph_that_is_wrong(precision, found):
    with pytest.raises(BundleError, match="deviates by"):
        exporting._bound(precision, found)


def test_without_a_calibration_part_int8_cannot_be_measured(tiny_product, tiny, tmp_path, monkeypatch):
    run, out = tmp_path / "run", tmp_path / "f32"
    workflow.train(tiny_product, run, "quick", tiny | {"split.calibration": 0.0, "training.steps": 1})
    workflow.export(run, out)
    assert {sample.kind for sample in Contract.read(out).golden.samples} == {"good"}
    monkeypatch.setattr(exporting, "to_onnx", lambda module, size: onnx.load(out / "model.onnx"))
    with pytest.raises(BundleError, match=r"what INT8 costs cannot be measured.*pass --force"):
        workflow.export(run, tmp_path / "int8", precision="int8")


# The licence of the weights


def test_a_weights_file_is_named_with_hash_and_licence(tmp_path):
    from safetensors.torch import save_file

    from protores.bundle.origin import _weights
    from protores.settings import ModelSettings

    silent, stated = tmp_path / "silent.safetensors", tmp_path / "stated.safetensors"
    save_file({"x": torch.zeros(1)}, silent)
    save_file({"x": torch.zeros(1)}, stated, {"license": "BSD-3-Clause"})
    assert _weights(ModelSettings(weights=str(silent)), None).licence == "unknown: not stated in the file"
    assert _weights(ModelSettings(weights=str(stated)), None).licence == "BSD-3-Clause"
    assert _weights(ModelSettings(weights=str(stated)), "mine").licence == "mine"
    assert _weights(ModelSettings(weights=str(silent)), None).sha256 == sha256_of(silent)
    gone = _weights(ModelSettings(weights=str(tmp_path / "gone.safetensors")), None)
    assert (gone.source, gone.sha256) == ("gone.safetensors", None)
    assert _weights(ModelSettings(weights="imagenet"), None).licence == "apache-2.0"


# The run's decision comes along


def test_decision_and_masks_come_along(export, tiny_run, tmp_path):
    import cv2

    run = shutil.copytree(tiny_run, tmp_path / "run")
    mask = np.zeros((10, 20), np.uint8)
    mask[:5] = 255
    (run / "ignore-1.png").write_bytes(cv2.imencode(".png", mask)[1].tobytes())
    (run / "decision.json").write_text(
        json.dumps({"map_threshold": 0.3, "good_below": 0.2, "bad_above": 0.6, "min_area": 9, "ignore": "ignore-1.png"})
    )
    folder = export(run=run)
    contract = Contract.read(folder)
    assert (contract.decision.good_below, contract.decision.bad_above, contract.decision.min_area) == (0.2, 0.6, 9)
    np.testing.assert_array_equal(read_image(folder / contract.decision.ignore)[..., 0], mask)


# Whole or not at all


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), ValueError()])
def test_a_failure_leaves_nothing(export, tmp_path, monkeypatch, error):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(exporting.golden, "write", fail)
    wanted = RunError if isinstance(error, OSError) else type(error)
    with pytest.raises(wanted):
        export()
    assert list(tmp_path.iterdir()) == []


KILLED = """
import onnx, os, signal, sys
from pathlib import Path
from protores import workflow
from protores.bundle import export
export.to_onnx = lambda module, size: onnx.load(sys.argv[3])
def kill(*args):
    assert any(Path(sys.argv[2]).parent.iterdir())
    os.kill(os.getpid(), signal.SIGKILL)
export._bound = kill
workflow.export(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_a_kill_leaves_nothing_that_looks_like_a_bundle(export, bundles, tiny_run, tmp_path):
    out = tmp_path / "bundle"
    words = [sys.executable, "-c", KILLED, tiny_run, out, bundles["onnx"] / "model.onnx"]
    done = subprocess.run(words, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not out.exists()
    for left in tmp_path.iterdir():
        with pytest.raises(BundleError, match="is no bundle"):
            Contract.read(left)
    assert verify(export(out)).passed
    assert list(tmp_path.iterdir()) == [out]


def test_an_empty_folder_is_taken_and_no_other_place(export, tmp_path):
    out = tmp_path / "bundle"
    out.mkdir()
    export(out)
    before = sha256_of(out / "contract.json")
    with pytest.raises(BundleError, match="exists already; delete it"):
        export(out)
    assert sha256_of(out / "contract.json") == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BundleError, match="exists already"):
        export(tmp_path / "file")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"precision": "bf16"}, "ONNX Runtime gains nothing by bf16 .* --format openvino"),
        ({"format": "tflite"}, "formats are onnx, openvino"),
        ({"precision": "fp4"}, "precisions f32, bf16, int8"),
    ],
)
def test_what_cannot_be_exported_is_refused(export, tmp_path, options, told):
    with pytest.raises(BundleError, match=told):
        export(**options)
    assert list(tmp_path.iterdir()) == []


def test_a_graph_that_gives_other_maps_is_refused(export, tmp_path, monkeypatch):
    known = exporting.score_images

    def shifted(network, images, top, *rest):
        maps, scores = known(network, images, top, *rest)
        return maps + 0.001, scores

    monkeypatch.setattr(exporting, "score_images", shifted)
    with pytest.raises(BundleError, match="deviates by 0.001 from the trained one"):
        export()
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_run_and_changed_images_are_refused(export, tiny_run, tiny_product, tmp_path):
    with pytest.raises(RunError, match="is no run"):
        export(run=tmp_path / "nowhere")
    data = shutil.copytree(tiny_product, tmp_path / "board")
    run = shutil.copytree(tiny_run, tmp_path / "run")
    text = (run / "settings.json").read_text()
    (run / "settings.json").write_text(text.replace(str(tiny_product), str(data)))
    (data / "train" / "good" / "000.png").unlink()
    with pytest.raises(RunError, match="changed since training; restore them"):
        export(run=run)


@pytest.mark.parametrize(
    ("precision", "thresholds", "told"), [("bf16", True, True), ("bf16", False, False), ("f32", True, False)]
)
def test_thresholds_set_on_f32_scores_are_said_to_be(tiny_run, tmp_path, export, precision, thresholds, told):
    run, notes = tmp_path / "run", []
    shutil.copytree(tiny_run, run)
    if thresholds:
        calibrate(run, None, Request(good_below=0.3, bad_above=0.5))

    class Heard(Progress):
        def note(self, message: str) -> None:
            notes.append(message)

    export(run=run, format="openvino", precision=precision, progress=Heard())
    assert any("calibrate the bundle once more" in note for note in notes) == told
