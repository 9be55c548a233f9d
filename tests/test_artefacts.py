"""Files from strangers: loading a run, a bundle, weights or images runs no code, and no path leads elsewhere."""

import ast
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import protores
from protores import cli, workflow
from protores.bundle.contract import Contract
from protores.errors import BundleError, ProtoresError
from protores.run import Run
from protores.runtime.engine import open_engine
from protores.runtime.inspector import Inspector

SOURCE = Path(protores.__file__).parent
RUN_CODE = {"eval", "exec", "compile", "__import__"}
"""Built-ins that make code of text."""
UNPICKLE = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml", "imp", "code"}
"""Modules whose readers make objects of bytes."""
LOADERS = {(module, "load") for module in ("torch", "torch.jit", "torch.hub", "np", "numpy")} | {("os", "system")}


class Bomb:
    """Unpickling it makes a file."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "code has run"


@pytest.fixture(params=range(pickle.HIGHEST_PROTOCOL + 1))
def bomb(request, mark: Path) -> bytes:
    return pickle.dumps(Bomb(mark), request.param)


def test_the_bomb_would_go_off(bomb: bytes, mark: Path):
    pickle.loads(bomb)
    assert mark.exists()


# The source


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_no_module_reads_what_could_be_code(path: Path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            assert not {name.partition(".")[0] for name in names} & UNPICKLE, ast.unparse(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in RUN_CODE, ast.unparse(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            called = ast.unparse(node.func.value), node.func.attr
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert called not in LOADERS or keywords.get("allow_pickle") == "False", ast.unparse(node)
            assert keywords.get("allow_pickle", "False") == "False", ast.unparse(node)
            assert keywords.get("shell", "False") == "False", ast.unparse(node)


# A malicious pickle under each name that is read


def refused(act: Callable[[], object], mark: Path) -> None:
    """One line, if anything, and no code has run."""
    told = ""
    try:
        act()
    except ProtoresError as error:
        told = str(error)
    assert "\n" not in told
    assert not told or ";" in told
    assert not mark.exists()


RUN_FILES = ("settings.json", "split.json", "model.safetensors", "metrics.json", "environment.json", "decision.json")


@pytest.mark.parametrize("name", RUN_FILES)
def test_a_pickle_in_a_run(tiny_run: Path, tiny_product: Path, tmp_path: Path, mark: Path, name: str):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    (run / name).write_bytes(pickle.dumps(Bomb(mark)))
    good = str(tiny_product / "test" / "good")
    for act in (
        lambda: workflow.evaluate(run),
        lambda: workflow.predict(run, [good], tmp_path / "found", pictures=False),
        lambda: protores.calibrate(run, None, by_hand()),
        lambda: Run(run).facts(),
    ):
        refused(act, mark)


def test_a_pickle_as_checkpoint(tiny: dict, tiny_product: Path, tiny_run: Path, tmp_path: Path, mark: Path):
    run = Run(shutil.copytree(tiny_run, tmp_path / "run"))
    run.metrics.unlink()
    run.model.unlink()
    run.work.mkdir()
    run.checkpoint.write_bytes(pickle.dumps(Bomb(mark)))
    refused(lambda: workflow.train(tiny_product, run.path, "quick", tiny, resume=True), mark)


def test_a_pickle_as_weights(tiny: dict, tiny_product: Path, tmp_path: Path, bomb: bytes, mark: Path):
    for name in ("weights.safetensors", "weights.pth", "weights.pt"):
        (tmp_path / name).write_bytes(bomb)
        with pytest.raises(ProtoresError, match="is not a safetensors file; convert"):
            workflow.train(tiny_product, tmp_path / "run", "quick", tiny | {"model.weights": str(tmp_path / name)})
    assert not mark.exists()


@pytest.mark.parametrize("where", ["train/good/000.png", "ground_truth"])
def test_a_pickle_as_image_or_mask(tiny_product: Path, tmp_path: Path, bomb: bytes, mark: Path, where: str):
    data = shutil.copytree(tiny_product, tmp_path / "data")
    path = data / where if (data / where).is_file() else next((data / where).rglob("*.png"))
    path.write_bytes(bomb)
    assert workflow.check(data).has_errors
    assert not mark.exists()


def with_hashes(folder: Path) -> None:
    """The contract fits the files again, as whoever means harm would see to."""
    path = folder / "contract.json"
    values = json.loads(path.read_text())
    contract = Contract.model_validate_json(json.dumps(values))
    hashes = contract.with_files(folder, *contract.files).files
    path.write_text(json.dumps(values | {"files": dict(hashes)}))


@pytest.mark.parametrize("name", ["model.onnx", "golden/0.png", "golden/0.npy", "ignore.png", "images.json"])
def test_a_pickle_in_a_bundle_whose_hashes_fit(make_bundle, tmp_path: Path, bomb: bytes, mark: Path, name: str):
    folder = make_bundle(ignore=np.zeros((8, 8), np.uint8))
    (folder / "images.json").write_text('{"train": [], "seen": [], "calibration": [], "test": []}')
    values = json.loads((folder / "contract.json").read_text())
    values |= {"images": "images.json", "files": values["files"] | {"images.json": "0" * 64}}
    (folder / "contract.json").write_text(json.dumps(values))
    (folder / name).write_bytes(bomb)
    with_hashes(folder)
    photo = tmp_path / "photo.png"
    shutil.copy(make_bundle(name="other") / "golden" / "0.png", photo)
    refused(lambda: protores.verify(folder), mark)
    refused(lambda: Inspector(folder)(photo), mark)
    refused(lambda: protores.calibrate(folder, None, by_hand()), mark)


def by_hand():
    from protores.decision.request import Request

    return Request(good_below=0.2, bad_above=0.8)


def test_a_pickle_as_contract(bundle: Path, bomb: bytes, mark: Path):
    (bundle / "contract.json").write_bytes(bomb)
    with pytest.raises(BundleError, match="contract.json is not JSON"):
        Contract.read(bundle)
    assert not mark.exists()


def test_a_pickle_at_the_command_line_is_one_line(bundle: Path, monkeypatch, capsys, mark: Path):
    (bundle / "golden" / "0.npy").write_bytes(pickle.dumps(Bomb(mark)))
    with_hashes(bundle)
    monkeypatch.setattr("sys.argv", ["protores", "verify", str(bundle)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    err = capsys.readouterr().err
    assert end.value.code == 2
    assert err.count("\n") == 1
    assert err.startswith("protores: ")
    assert not mark.exists()


# Hashes and paths


@pytest.mark.parametrize("name", ["model.onnx", "golden/0.png", "golden/0.npy"])
def test_hashes_that_do_not_fit_are_refused_before_anything_is_opened(bundle: Path, monkeypatch, name: str):
    (bundle / name).write_bytes((bundle / name).read_bytes() + b"\0")
    monkeypatch.setattr("protores.runtime.inspector.open_engine", lambda *args: pytest.fail("opened"))
    for act in (lambda: Inspector(bundle), lambda: protores.verify(bundle)):
        with pytest.raises(BundleError, match="was changed: its SHA-256 is not the contract's; copy the bundle again"):
            act()


HOSTILE = (
    "../model.onnx", "..", ".", "", "/etc/passwd.onnx", "//host/share.onnx", "C:model.onnx", "C:/model.onnx",
    "C:\\model.onnx", "..\\model.onnx", "golden\\..\\..\\model.onnx", "golden/../../model.onnx", "~/model.onnx",
    "$HOME.onnx", "%TEMP%.onnx", "model.onnx\0", "model.onnx\n", "model.onnx ", "model.onnx.", ".model.onnx",
    "file:model.onnx", "model.onnx:stream", "NUL.onnx", "con.onnx", "Aux",
    "COM1.onnx", "lpt9.tar.onnx", "mo\u202edel.onnx", "m\uff0fodel.onnx",
    "x" * 200 + ".onnx",
)  # fmt: skip


@pytest.mark.parametrize("place", ["model", "ignore", "roi", "images", "golden image", "golden map", "files"])
def test_no_path_leads_out_of_the_bundle(bundle: Path, place: str):
    path = bundle / "contract.json"
    text = path.read_text()
    for name in HOSTILE:
        path.write_text(json.dumps(naming(json.loads(text), place, name)))
        with pytest.raises(BundleError) as refusal:
            Contract.read(bundle)
        assert "\n" not in str(refusal.value)
        assert "is missing" not in str(refusal.value), f"{name} was looked for"


def naming(values: dict, place: str, name: str) -> dict:
    """A contract that names a file in a place."""
    if place == "model":
        values["model"]["file"] = name
    elif place in ("ignore", "roi"):
        values["decision"][place] = name
    elif place == "images":
        values["images"] = name
    elif place == "files":
        values["files"][name] = "0" * 64
    else:
        values["golden"]["samples"][0][place.removeprefix("golden ")] = f"golden/{name}"
    return values


@pytest.mark.parametrize("absolute", [True, False])
@pytest.mark.parametrize("name", ["model.onnx", "golden/0.npy", "golden"])
def test_links_out_of_the_bundle_are_refused(bundle: Path, tmp_path: Path, name: str, absolute: bool):
    outside = tmp_path / "outside"
    (bundle / name).rename(outside)
    target = outside if absolute else Path(os.path.relpath(outside, (bundle / name).parent))
    (bundle / name).symlink_to(target, target_is_directory=outside.is_dir())
    with pytest.raises(BundleError, match="leads out of the bundle; put the file itself in its place"):
        Contract.read(bundle)


@pytest.mark.parametrize("location", ["../secret.bin", "absolute", "link.bin"])
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_model_cannot_fetch_its_weights_from_elsewhere(bundle: Path, tmp_path: Path, location: str, runtime: str):
    """ONNX may keep weights in other files: both runtimes refuse those outside of the model's folder."""
    import onnx
    from onnx import TensorProto

    secret = tmp_path / "secret.bin"
    model = onnx.load(bundle / "model.onnx")
    kernel = next(tensor for tensor in model.graph.initializer if tensor.name == "kernel")
    secret.write_bytes(onnx.numpy_helper.to_array(kernel).tobytes())
    (bundle / "link.bin").symlink_to(secret)
    kernel.ClearField("raw_data")
    kernel.data_location = TensorProto.EXTERNAL
    kernel.external_data.add(key="location", value=str(secret) if location == "absolute" else location)
    (bundle / "model.onnx").write_bytes(model.SerializeToString())
    with_hashes(bundle)
    with pytest.raises(BundleError, match=f"{runtime} cannot run the model") as refusal:
        open_engine(bundle, Contract.read(bundle), runtime)
    assert "\n" not in str(refusal.value)


def test_roles_of_a_split_lead_nowhere(tiny_run: Path, tiny_product: Path, tmp_path: Path):
    """Its paths are compared with those of the images that are there, and never opened."""
    run = Run(shutil.copytree(tiny_run, tmp_path / "run"))
    values = json.loads(run.split.read_text())
    for image in values["images"]:
        image["path"] = "../../../etc/passwd"
    run.split.write_text(json.dumps(values))
    workflow.evaluate(run.path)
