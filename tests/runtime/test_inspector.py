"""Any image in, a result out; the contract decides, at any time."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from protores.bundle.contract import Contract
from protores.data.image import read_mask, resize_image, to_rgb, valid_pixels
from protores.decision.regions import find_regions
from protores.errors import BundleError, UnreadableImage
from protores.runtime.inspector import Inspector
from protores.runtime.score import image_score
from protores.runtime.view import Tiling

SIZE = (64, 96)


def encode(image: np.ndarray, ending: str = ".png") -> bytes:
    """RGB(A) or gray to a file's bytes."""
    bgr = image if image.ndim == 2 or image.shape[2] == 1 else image[..., [2, 1, 0, 3][: image.shape[2]]]
    return cv2.imencode(ending, bgr)[1].tobytes()


def edit(bundle: Path, **decision) -> None:
    """As a person would: contract.json in an editor."""
    path = bundle / "contract.json"
    values = json.loads(path.read_text())
    values["decision"] |= decision
    path.write_text(json.dumps(values, indent=1))


def test_map_and_score_are_the_networks_of_the_resized_image(bundle, convolved, image):
    result = Inspector(bundle)(image)
    expected = convolved(resize_image(image, SIZE))
    np.testing.assert_allclose(result.network_map, expected, atol=1e-5)
    assert result.score == pytest.approx(image_score(expected, 0.01), abs=1e-5)
    assert result.size == (100, 180)
    np.testing.assert_allclose(result.map, cv2.resize(expected, (180, 100)), atol=1e-5)
    assert result.map is result.map
    assert (result.regions, result.verdict) == ((), None)


def kinds_of_image() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Name to an array and what it looks like in uint8 RGB."""
    rng = np.random.default_rng(1)
    gray = rng.integers(0, 256, (50, 70), dtype=np.uint8)
    colour = rng.integers(0, 256, (50, 70, 3), dtype=np.uint8)
    deep = rng.integers(0, 4096, (50, 70), dtype=np.uint16)
    opaque = np.full((50, 70, 1), 255, np.uint8)
    return {
        "gray": (gray, np.dstack([gray] * 3)),
        "gray with one channel": (gray[..., None], np.dstack([gray] * 3)),
        "colour": (colour, colour),
        "alpha": (np.dstack([colour, opaque]), colour),
        "transparent": (np.dstack([colour, 0 * opaque]), 0 * colour),
        "12 bits of 16": (deep, to_rgb(deep, 12)),
        "deep colour": (np.dstack([deep, deep, deep]), to_rgb(deep, 12)),
        "a view": (colour[::-1, ::2, ::-1], np.ascontiguousarray(colour[::-1, ::2, ::-1])),
        "one pixel": (gray[:1, :1], np.dstack([gray[:1, :1]] * 3)),
        "not writable": (np.frombuffer(colour.tobytes(), np.uint8).reshape(colour.shape), colour),
    }


@pytest.mark.parametrize("kind", kinds_of_image())
def test_any_array_and_any_file_of_it(bundle, convolved, tmp_path, kind):
    array, seen = kinds_of_image()[kind]
    inspector = Inspector(bundle)
    result = inspector(array)
    np.testing.assert_allclose(result.network_map, convolved(resize_image(seen, SIZE)), atol=1e-5)
    assert result.size == array.shape[:2]
    path = tmp_path / "größe 検査.png"
    path.write_bytes(encode(array))
    for source in (path, str(path), path.read_bytes(), memoryview(path.read_bytes())):
        np.testing.assert_array_equal(inspector(source).network_map, result.network_map)


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("tiling", [None, Tiling()])
def test_a_list_gives_what_each_gives_alone(bundle, rng, runtime, tiling):
    """19 images of many sizes: more than go through the network at once."""
    images = [rng.integers(0, 256, (40 + 7 * i, 150 - 3 * i, 3), dtype=np.uint8) for i in range(19)]
    inspector = Inspector(bundle, runtime, tiling=tiling)
    together = inspector(images)
    assert [result.size for result in together] == [image.shape[:2] for image in images]
    for image, result in zip(images, together, strict=True):
        alone = inspector(image)
        np.testing.assert_allclose(alone.network_map, result.network_map, atol=1e-6)
        assert alone.score == pytest.approx(result.score, abs=1e-6)
    assert inspector([]) == []
    assert isinstance(inspector((images[0],)), list)


def test_regions_verdict_and_json(make_bundle, image):
    bundle = make_bundle(map_threshold=0.9, good_below=0.1, bad_above=0.2, min_area=30, mm_per_px=0.1)
    result = Inspector(bundle)(image)
    assert result.regions == find_regions(result.map, 0.9, 30, 0.1)
    assert len(result.regions) > 1
    assert result.verdict is not None
    assert (result.verdict.outcome, result.verdict.regions) == ("bad", result.regions)
    values = json.loads(json.dumps(result.to_dict()))
    assert list(values) == ["score", "verdict", "size", "regions"]
    assert values["size"] == [100, 180]
    assert values["verdict"] == "bad"
    assert list(values["regions"][0]) == ["box", "area", "area_mm2", "peak", "mean", "polygon"]


def test_min_area_in_square_millimetres(make_bundle, image):
    pixels = Inspector(make_bundle(map_threshold=0.9, min_area=100, name="px"))(image)
    scaled = make_bundle(map_threshold=0.9, min_area=1.0, unit="mm2", mm_per_px=0.1, name="mm")
    assert [r.area for r in Inspector(scaled)(image).regions] == [r.area for r in pixels.regions]
    assert pixels.regions
    assert all(r.area >= 100 for r in pixels.regions)


def test_a_map_below_the_threshold_has_no_regions(make_bundle, image):
    result = Inspector(make_bundle(map_threshold=1.0))(image)
    assert result.regions == ()
    assert "map" not in vars(result)  # it was not enlarged for nothing


@pytest.mark.parametrize("keep_aspect", [False, True])
@pytest.mark.parametrize("tiling", [None, Tiling(0.5)])
def test_what_does_not_count_is_zero(make_bundle, image, keep_aspect, tiling):
    ignore, roi = np.zeros((10, 18), np.uint8), np.zeros((50, 90), np.uint8)
    ignore[:, :5] = 1
    roi[:30] = 1
    bundle = make_bundle(keep_aspect=keep_aspect, ignore=ignore, roi=roi, map_threshold=0.01)
    result = Inspector(bundle, tiling=tiling)(image)
    size, keep = (result.network_map.shape, False) if tiling else (SIZE, keep_aspect)
    valid = valid_pixels(image.shape, size, keep, ignore, roi)
    assert not result.network_map[~valid].any()
    assert result.network_map[valid].all()
    (region,) = result.regions
    x, y, width, height = region.box
    assert abs(x - 50) <= 2
    assert abs(y + height - 60) <= 2
    assert x + width == 180


def test_keeping_the_aspect_the_map_is_still_the_images(make_bundle, convolved, image):
    result = Inspector(make_bundle(keep_aspect=True))(image)
    top, left, height, width = result.box
    inside = convolved(resize_image(image, SIZE, True))[top : top + height, left : left + width]
    np.testing.assert_allclose(result.map, cv2.resize(inside, (180, 100)), atol=1e-5)
    assert not result.network_map[:top].any()


def test_thresholds_change_by_hand_without_an_export(bundle, image):
    inspector = Inspector(bundle)
    assert inspector(image).verdict is None
    before = inspector.digest
    edit(bundle, good_below=0.99, bad_above=1.0, map_threshold=0.6)
    result = inspector(image)
    assert result.verdict is not None
    assert result.verdict.outcome == "good"
    assert result.regions
    edit(bundle, good_below=0.0, bad_above=0.1)
    assert inspector(image).verdict.outcome == "bad"
    assert Inspector(bundle)(image).verdict.outcome == "bad"
    assert inspector.digest == Inspector(bundle).digest != before


def test_a_mask_that_is_put_in_later(bundle, image):
    inspector = Inspector(bundle)
    assert inspector(image).network_map.all()
    ignore = np.ones((10, 10), np.uint8)
    (bundle / "ignore.png").write_bytes(encode(ignore * np.uint8(255)))
    contract = Contract.read(bundle)
    decision = contract.decision.model_copy(update={"ignore": "ignore.png"})
    contract.model_copy(update={"decision": decision}).with_files(bundle, "ignore.png").write(bundle)
    assert not inspector(image).network_map.any()
    np.testing.assert_array_equal(read_mask(bundle / "ignore.png"), ignore)


def test_a_contract_that_became_wrong_or_anothers_is_told(bundle, make_bundle, image):
    inspector = Inspector(bundle)
    edit(bundle, good_below=0.9, bad_above=0.1)
    with pytest.raises(BundleError, match="good_below"):
        inspector(image)
    edit(bundle, good_below=None, bad_above=None)
    assert inspector(image).verdict is None
    other = make_bundle(name="other")
    model = (other / "model.onnx").read_bytes().replace(b"one convolution", b"a convolution..")
    (bundle / "model.onnx").write_bytes(model)
    values = json.loads((bundle / "contract.json").read_text())
    del values["files"]["model.onnx"]
    Contract.model_validate_json(json.dumps(values)).with_files(bundle, "model.onnx").write(bundle)
    with pytest.raises(BundleError, match="another model than when it was opened; open it again"):
        inspector(image)


@pytest.mark.parametrize("change", [{"map_threshold": 0.5}, {"min_area": 3.0}, {"good_below": 0.1, "bad_above": 0.2}])
def test_the_digest_knows_what_changes_results(bundle, change):
    before = Inspector(bundle).digest
    edit(bundle, calibration={"by": "hand"})
    assert Inspector(bundle).digest == before
    assert Inspector(bundle, "onnxruntime").digest == before
    assert Inspector(bundle, tiling=Tiling()).digest != before
    edit(bundle, **change)
    assert Inspector(bundle).digest != before


def test_what_is_no_image_is_told(bundle, tmp_path):
    inspector = Inspector(bundle)
    (tmp_path / "empty.png").write_bytes(b"")
    for source, message in (
        (tmp_path / "nowhere.png", r"nowhere\.png: No such file"),
        (tmp_path / "empty.png", r"empty\.png: the file is empty"),
        (b"text", "image: damaged, or not an image"),
        (np.zeros((4, 4), np.float32), "image: holds float32 values"),
        (np.zeros((0, 4), np.uint8), "image: has the shape"),
    ):
        with pytest.raises(UnreadableImage, match=message):
            inspector(source)


def test_a_network_that_gives_no_numbers_is_told(bundle, image):
    inspector = Inspector(bundle)
    inspector.engine = lambda images: np.full((len(images), *SIZE), np.nan, np.float32)
    with pytest.raises(BundleError, match="gives no numbers; run `protores verify`"):
        inspector(image)


def test_no_bundle(tmp_path):
    with pytest.raises(BundleError, match="is no bundle"):
        Inspector(tmp_path)
