"""A toy product small enough to train on in seconds, drawn once for all tests; bundles made in milliseconds."""

import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from selenium import webdriver

from protores import toy
from protores.bundle.contract import Contract

SHARED = Path(__file__).parents[2] / "shared"
TINY = {
    "model.weights": "random",
    "data.size": (64, 64),
    "training.steps": 6,
    "training.minutes": None,
    "training.batch_size": 8,
    "training.validate_every": 3,
    "training.threads": 1,
    "training.precision": "f32",
    "split.seen": 5,
}
REACH = 2
"""How far the map depends on its surroundings, pixels."""
KERNEL = np.random.default_rng(0).normal(0, 0.5, (1, 3, 2 * REACH + 1, 2 * REACH + 1)).astype(np.float32)
NO_CHROMIUM = "pages are tested in Chromium; install it, on Debian by: apt-get install chromium chromium-driver"
CHROMIUM = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1440,900",
)
MakeBundle = Callable[..., Path]
OpenBrowser = Callable[..., AbstractContextManager[webdriver.Chrome]]


@pytest.fixture(autouse=True, scope="session")
def ctrl_c() -> None:
    """A suite that a shell started in the background inherits an ignored SIGINT."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory) -> Iterator[None]:
    """Decoded images of tests stay out of the user's folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def tiny_product(tmp_path_factory) -> Path:
    """24 good images and 5 + 5 x 3 test images of 64 x 64, in MVTec AD's layout. Not to be changed."""
    return toy.draw(
        tmp_path_factory.mktemp("toy") / "board", good=24, test_good=5, defects_per_kind=3, size=64
    )


@pytest.fixture(scope="session")
def tiny() -> dict[str, Any]:
    """Settings that train on it in a second or two. Not to be changed."""
    return TINY


@pytest.fixture(scope="session")
def tiny_run(tiny_product, tmp_path_factory) -> Path:
    """A run trained on it, once. Not to be changed."""
    from protores import workflow

    out = tmp_path_factory.mktemp("runs") / "tiny"
    workflow.train(tiny_product, out, "quick", TINY)
    return out


@pytest.fixture(scope="session")
def tiny_bundle(tiny_run, tmp_path_factory) -> Path:
    """That run exported to ONNX in f32, once. Not to be changed."""
    from protores import workflow

    out = tmp_path_factory.mktemp("bundles") / "tiny"
    workflow.export(tiny_run, out)
    return out


@pytest.fixture
def call(monkeypatch, capsys):
    """call("train", ...): the exit code, stdout and stderr of a command."""

    from protores import cli

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["protores", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        return end.value.code or 0, out, err

    return run


@pytest.fixture(scope="session")
def open_browser() -> OpenBrowser:
    """open_browser(*flags, **logs): Chromium without a screen, in a with statement. logs: their levels."""

    @contextmanager
    def opened(*flags: str, **logs: str) -> Iterator[webdriver.Chrome]:
        chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
        if chromium is None or driver is None:
            pytest.fail(NO_CHROMIUM)
        with tempfile.TemporaryDirectory() as profile:
            options = webdriver.ChromeOptions()
            options.binary_location = chromium
            for flag in (*CHROMIUM, *flags, f"--user-data-dir={profile}"):
                options.add_argument(flag)
            options.set_capability("goog:loggingPrefs", {"browser": "ALL", **logs})
            browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
            try:
                yield browser
            finally:
                browser.quit()

    return opened


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def write_model(size: tuple[int, int], path: Path) -> None:
    """An ONNX file: the sigmoid of a 5 x 5 convolution with zeros around the image, any batch."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["logits"], pads=[REACH] * 4),
        helper.make_node("Sigmoid", ["logits"], ["maps"]),
        helper.make_node("Squeeze", ["maps", "axes"], ["anomaly_map"]),
    ]
    graph = helper.make_graph(
        nodes,
        "one convolution",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["B", 3, *size])],
        [helper.make_tensor_value_info("anomaly_map", TensorProto.FLOAT, ["B", *size])],
        [numpy_helper.from_array(KERNEL, "kernel"), numpy_helper.from_array(np.array([1]), "axes")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)


@pytest.fixture(scope="session")
def write_bundle() -> MakeBundle:
    """write_bundle(home, size=, keep_aspect=, bit_depth=, top=, ignore=, roi=, **decision): a bundle in a new folder.

    Its network is one convolution, which real runtimes run in a millisecond. ignore, roi: arrays that become its masks.
    """

    def write(
        home: Path,
        size: tuple[int, int] = (64, 96),
        keep_aspect: bool = False,
        bit_depth: int = 12,
        top: float = 0.01,
        ignore: np.ndarray | None = None,
        roi: np.ndarray | None = None,
        **decision: Any,
    ) -> Path:
        (home / "golden").mkdir(parents=True)
        write_model(size, home / "model.onnx")
        (home / "golden" / "0.png").write_bytes(cv2.imencode(".png", np.zeros((*size, 3), np.uint8))[1].tobytes())
        np.save(home / "golden" / "0.npy", np.full(size, 0.5, np.float32))
        for mask_name, mask in (("ignore", ignore), ("roi", roi)):
            if mask is not None:
                decision[mask_name] = f"{mask_name}.png"
                (home / f"{mask_name}.png").write_bytes(cv2.imencode(".png", mask * np.uint8(255))[1].tobytes())
        contract = Contract.model_validate(
            {
                "product": "board",
                "kinds": ("bent",),
                "seen_kinds": (),
                "model": {
                    "file": "model.onnx", "format": "onnx", "precision": "f32", "opset": 18, "backbone": "none",
                    "prototypes": 1,
                },
                "image": {"size": size, "bit_depth": bit_depth, "keep_aspect": keep_aspect},
                "map": {"size": size},
                "score": {"top": top},
                "decision": decision,
                "golden": {
                    "bound": 1e-4,
                    "samples": ({"image": "golden/0.png", "map": "golden/0.npy", "score": 0.5, "kind": "good"},),
                },
                "files": {},
                "origin": {
                    "versions": {},
                    "run": {"seed": 0, "split": "abc", "preset": "quick"},
                    "weights": {"source": "random", "sha256": None, "licence": "none"},
                },
            }
        )  # fmt: skip
        contract.with_files(home, *contract.named()).write(home)
        return home

    return write


@pytest.fixture
def make_bundle(tmp_path, write_bundle) -> MakeBundle:
    """make_bundle(size=, name=, **of write_bundle): a bundle's folder for this test alone."""

    def make(size: tuple[int, int] = (64, 96), name: str = "bundle", **options: Any) -> Path:
        return write_bundle(tmp_path / name, size, **options)

    return make


@pytest.fixture
def bundle(make_bundle) -> Path:
    return make_bundle()


@pytest.fixture
def convolved() -> Callable[[np.ndarray], np.ndarray]:
    """convolved(image): the network's map of one uint8 RGB image of any size, by OpenCV."""

    def run(image: np.ndarray) -> np.ndarray:
        logits = sum(
            cv2.filter2D(image[..., c].astype(np.float32) / 255, -1, KERNEL[0, c], borderType=cv2.BORDER_CONSTANT)
            for c in range(3)
        )
        return 1 / (1 + np.exp(-logits))

    return run


@pytest.fixture
def image(rng) -> np.ndarray:
    """Smooth colours, 100 x 180."""
    noise = cv2.GaussianBlur(rng.random((100, 180, 3)).astype(np.float32), (0, 0), 5)
    return np.asarray(cv2.normalize(noise, None, 0, 255, cv2.NORM_MINMAX), np.uint8)
