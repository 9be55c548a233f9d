"""Valid files to begin from: images of every kind that is read, and the JSON files that travel."""

import io
import json
from functools import cache
from typing import Any

import cv2
import numpy as np
import tifffile
from PIL import Image

from protores.bundle.contract import Contract
from protores.data.splits import Entry, Split
from protores.data.uses import Uses
from protores.presets import load


@cache
def images() -> tuple[bytes, ...]:
    """Small files of every format, depth and storage."""
    rng = np.random.default_rng(0)
    gray = cv2.GaussianBlur(rng.integers(0, 256, (12, 17), dtype=np.uint8), (0, 0), 1)
    colour = cv2.merge([gray, gray[::-1], 255 - gray])
    alpha = cv2.merge([gray, gray, gray, gray[::-1]])
    deep = gray.astype(np.uint16) * 16
    files = [
        cv2.imencode(ending, image)[1].tobytes()
        for ending in (".png", ".jpg", ".bmp", ".tif", ".webp", ".ppm")
        for image in (gray, colour)
        if (ending, image.ndim) != (".ppm", 2)
    ]
    files += [cv2.imencode(".png", image)[1].tobytes() for image in (alpha, deep)]
    files += [cv2.imencode(".pgm", image)[1].tobytes() for image in (gray, deep)]
    progressive = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 1]
    files.append(cv2.imencode(".jpg", colour, progressive)[1].tobytes())
    return (*files, *_tiffs(gray, colour, deep), *_by_pillow(colour))


def _tiffs(gray: np.ndarray, colour: np.ndarray, deep: np.ndarray) -> list[bytes]:
    options: list[tuple[np.ndarray, dict[str, Any]]] = [
        (gray, {}),
        (deep, {"byteorder": ">"}),
        (deep, {"compression": "zlib", "predictor": True}),
        (np.moveaxis(colour, 2, 0), {"planarconfig": "separate", "photometric": "rgb"}),
        (colour, {"tile": (16, 16), "photometric": "rgb"}),
        (gray, {"photometric": "miniswhite", "rowsperstrip": 3, "bigtiff": True}),
    ]
    found = []
    for image, option in options:
        file = io.BytesIO()
        tifffile.imwrite(file, image, **option)
        found.append(file.getvalue())
    return found


def _by_pillow(colour: np.ndarray) -> list[bytes]:
    photo = Image.fromarray(colour)
    exif = Image.Exif()
    exif[0x0112] = 6
    more: dict[str, Any] = {"save_all": True, "append_images": [photo.rotate(180)]}
    wanted: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (photo.convert("P"), "PNG", {}),
        (photo.convert("P"), "BMP", {}),
        (photo.convert("P"), "TIFF", {}),
        (photo.convert("CMYK"), "JPEG", {"exif": exif}),
        (photo.convert("CMYK"), "TIFF", {"compression": "tiff_lzw"}),
        (photo.convert("1"), "TIFF", {"compression": "group4"}),
        (photo, "PNG", {"exif": exif, **more}),
        (photo, "WEBP", {"exif": exif, **more}),
        (photo, "TIFF", more),
        (photo, "GIF", more),
        (photo, "JPEG2000", {}),
    ]
    found = []
    for image, kind, options in wanted:
        file = io.BytesIO()
        image.save(file, kind, **options)
        found.append(file.getvalue())
    return found


@cache
def contract() -> dict[str, Any]:
    """The values of a contract.json with everything set."""
    made = Contract.model_validate(
        {
            "product": "board",
            "kinds": ("bent", "scratch"),
            "seen_kinds": ("bent",),
            "model": {
                "file": "model.onnx", "format": "onnx", "precision": "int8", "opset": 18, "backbone": "resnet18",
                "prototypes": 3,
                "quantization": {
                    "calibrated_on": 5, "judged_on": 5, "forced": False,
                    "image_auroc": {"f32": 0.9, "int8": 0.9}, "pixel_ap": {"f32": None, "int8": 0.5},
                },
            },
            "image": {"size": (64, 96), "bit_depth": 12, "keep_aspect": False},
            "map": {"size": (64, 96)},
            "score": {"top": 0.01},
            "decision": {
                "map_threshold": 0.5, "good_below": 0.2, "bad_above": 0.8, "min_area": 2.5, "unit": "mm2",
                "mm_per_px": 0.1, "ignore": "ignore.png", "roi": "roi.png",
                "calibration": {"asked": {"max_miss": 0.01}},
            },
            "images": "images.json",
            "golden": {
                "bound": 1e-4,
                "samples": ({"image": "golden/0.png", "map": "golden/0.npy", "score": 0.0, "kind": "good"},),
            },
            "files": {"model.onnx": "0" * 64},
            "origin": {
                "versions": {"protores": "0.1.0"},
                "run": {"seed": 0, "split": "abc", "preset": "quick"},
                "weights": {"source": "random", "sha256": None, "licence": "none"},
            },
        }
    )  # fmt: skip
    return json.loads(made.model_dump_json())


@cache
def split() -> dict[str, Any]:
    """The values of a split.json."""
    roles = ("train", "seen", "calibration", "test", "excluded")
    entries = tuple(Entry(f"{i}.png", "good", role, f"{i:064x}", f"{i:064x}") for i, role in enumerate(roles))
    return json.loads(Split(entries, ("1 of 5 is tested",)).to_json())


@cache
def settings() -> dict[str, Any]:
    """The values of a settings.json."""
    return json.loads(load("quick", {"seed": 3}).model_dump_json())


@cache
def uses() -> dict[str, Any]:
    """The values of a bundle's list of used images."""
    return json.loads(Uses({"0123456789abcdef": "train", "fedcba9876543210": "test"}).to_json())
