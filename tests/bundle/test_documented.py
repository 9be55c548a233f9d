"""docs/bundle.md is enough to write a client from: its numbers are right, and its client does as Inspector does."""

import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from protores import Inspector
from protores.bundle.contract import Contract, Decision, Part
from protores.data.image import compose, network_input, resize_image, to_rgb
from protores.runtime.score import image_score

PAGE = (Path(__file__).parents[2] / "docs" / "bundle.md").read_text(encoding="utf-8")


def block(name: str) -> str:
    found = re.search(rf"<!-- {name} -->\n```\w+\n(.*?)```\n<!-- /{name} -->", PAGE, re.DOTALL)
    assert found
    return found[1]


def fields(part: type[Part], prefix: str = "") -> set[str]:
    """Dotted names of all fields."""
    names = set()
    for name, field in part.model_fields.items():
        inner = [p for p in Part.__subclasses__() if p.__name__ in str(field.annotation)]
        names |= fields(inner[0], f"{prefix}{name}.") if inner else {f"{prefix}{name}"}
    return names


def test_the_page_has_every_field_of_the_contract():
    for name in fields(Contract):
        top, *inner = name.split(".")
        assert f"`{top}" in PAGE
        if inner:
            assert re.search(rf"`(\.|[\w.]*\.)?{inner[-1]}`", PAGE), name


def test_its_example_is_what_we_compute():
    example = json.loads(block("example"))
    depth = example["bit_depth"]
    pixel = compose(np.array([[example["rgba_16"]]], np.uint16), "pixel").pixels
    assert pixel[0, 0].tolist() == example["on_black"]
    assert to_rgb(pixel, depth)[0, 0].tolist() == example["rgb_8"]
    image = to_rgb(np.array(example["gray_16"], np.uint16), depth)
    assert image[..., 0].tolist() == example["gray_8"]
    assert resize_image(image, (2, 4))[..., 0].tolist() == example["shrunk_rows"]
    resized = resize_image(image, tuple(example["size"]))
    assert resized[..., 0].tolist() == example["resized"]
    np.testing.assert_allclose(network_input(resized[None])[0, 0, 0], example["input_row_0"], atol=1e-7)
    counted = np.array(example["map"], np.float32) * (1 - np.array(example["ignored"], np.float32))
    assert image_score(counted, example["top"]) == pytest.approx(example["score"])


@pytest.fixture
def bundle(tiny_bundle, tmp_path) -> Path:
    return shutil.copytree(tiny_bundle, tmp_path / "bundle")


@pytest.fixture(scope="module")
def client():
    names = {"__name__": "client"}
    exec(block("client"), names)
    return names["inspect"]


def drawn(rng: np.random.Generator, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    coarse = rng.integers(0, 4096 if dtype == np.uint16 else 256, (6, 6, *shape[2:])).astype(dtype)
    return cv2.resize(coarse, shape[1::-1], interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("keep_aspect", [False, True])
def test_its_client_does_as_inspector_does(bundle, client, tmp_path, rng, keep_aspect):
    """Gray and colour, 8 and 16 bit, with alpha, larger and smaller than the network's size, with masks and areas."""
    contract = Contract.read(bundle)
    settings = contract.image.model_copy(update={"keep_aspect": keep_aspect, "bit_depth": 12})
    mask = np.zeros((40, 50), np.uint8)
    mask[10:30, 5:20] = 255
    cv2.imwrite(str(bundle / "ignore.png"), mask)
    cv2.imwrite(str(bundle / "roi.png"), 255 - mask[::-1, ::-1])
    shapes = [
        ((90, 130), np.uint8), ((64, 64, 3), np.uint8), ((40, 200, 3), np.uint16), ((30, 40, 4), np.uint8),
        ((150, 50, 4), np.uint16),
    ]  # fmt: skip
    paths = [tmp_path / f"{i}.png" for i in range(len(shapes))]
    for path, (shape, dtype) in zip(paths, shapes, strict=True):
        cv2.imwrite(str(path), drawn(rng, shape, dtype))
    contract = contract.model_copy(update={"image": settings, "decision": Decision()})
    contract.with_files(bundle).write(bundle)
    middle = float(np.median([Inspector(bundle, "onnxruntime", 1)(path).score for path in paths]))
    for decision in (
        Decision(),
        Decision(map_threshold=middle * 0.99, good_below=middle, bad_above=middle, min_area=30.0),
        Decision(map_threshold=middle, ignore="ignore.png", roi="roi.png", min_area=0.4, unit="mm2", mm_per_px=0.1),
    ):
        changed = contract.model_copy(update={"decision": decision})
        changed.with_files(bundle, *(name for name in (decision.ignore, decision.roi) if name)).write(bundle)
        inspector = Inspector(bundle, "onnxruntime", 1)
        for path in paths:
            result, told = inspector(path).to_dict(), client(bundle, path)
            assert told["score"] == pytest.approx(result["score"], abs=1e-6)
            assert told["verdict"] == result["verdict"]
            assert len(told["regions"]) == len(result["regions"])
            for mine, ours in zip(told["regions"], result["regions"], strict=True):
                assert (mine["box"], mine["area"]) == (ours["box"], ours["area"])
                assert (mine["peak"], mine["mean"]) == pytest.approx((ours["peak"], ours["mean"]), abs=1e-5)
