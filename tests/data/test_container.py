import io
import struct
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from protores.data.container import Damaged, Header, examine, format_of, upright

IMAGE = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8), (0, 0), 2)


def encode(ending: str, *options: int) -> bytes:
    return cv2.imencode(ending, IMAGE, options)[1].tobytes()


def exif(orientation: int, order: str) -> bytes:
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "IH", 8, 1)
    return head + struct.pack(order + "HHIHHI", 0x0112, 3, 1, orientation, 0, 0)


def jpeg_with(orientation: int, order: str = "<") -> bytes:
    data, block = encode(".jpg"), b"Exif\0\0" + exif(orientation, order)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:]


def png_with(orientation: int, order: str = ">") -> bytes:
    data, block = encode(".png"), b"eXIf" + exif(orientation, order)
    chunk = struct.pack(">I", len(block) - 4) + block + struct.pack(">I", zlib.crc32(block))
    return data[:33] + chunk + data[33:]


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp", ".webp"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_anywhere_is_damaged(ending: str, share: float):
    data = encode(ending)
    assert examine(data).orientation == 1
    with pytest.raises(Damaged, match="cut off"):
        examine(data[: int(len(data) * share)])


@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_a_copy_that_stopped_and_left_zeros_is_damaged(ending: str):
    data = encode(ending)
    half = len(data) // 2
    with pytest.raises(Damaged):
        examine(data[:half] + bytes(len(data) - half))


def test_progressive_jpeg_with_restarts_is_whole_and_junk_behind_the_end_does_no_harm():
    data = encode(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 2)
    assert examine(data).orientation == 1
    assert examine(data + b"\0" * 99).orientation == 1
    with pytest.raises(Damaged):
        examine(data[:-2])


def test_the_end_mark_of_an_embedded_thumbnail_is_not_the_end_of_the_jpeg():
    data, block = encode(".jpg"), b"Exif\0\0" + encode(".jpg")
    nested = data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:]
    assert examine(nested).orientation == 1
    with pytest.raises(Damaged):
        examine(nested[:-300])


@pytest.mark.parametrize("data", [b"", bytes(1000)])
def test_nothing_is_damaged(data: bytes):
    with pytest.raises(Damaged, match="empty"):
        examine(data)


@pytest.mark.parametrize("write", [jpeg_with, png_with])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_as_opencv_applies_it(write, order: str, orientation: int):
    data = write(orientation, order)
    stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    turned = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert stored.shape == IMAGE.shape
    assert examine(data).orientation == orientation
    np.testing.assert_array_equal(upright(stored, examine(data).orientation), turned)


def test_broken_exif_means_upright():
    assert examine(jpeg_with(77)).orientation == 1
    data = encode(".jpg")
    for block in (b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\x7f", b"Exif\0\0XX*\0\x08\0\0\0\xff\xff"):
        assert examine(data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:]).orientation == 1


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


PHOTO = Image.fromarray(IMAGE)
FRAMES = {"save_all": True, "append_images": [Image.fromarray(255 - IMAGE), Image.fromarray(IMAGE // 2)]}


@pytest.mark.parametrize(
    ("data", "header"),
    [
        (encode(".png"), Header("PNG")),
        (encode(".jpg"), Header("JPEG")),
        (encode(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1), Header("JPEG")),
        (encode(".webp"), Header("WebP")),
        (encode(".bmp"), Header("BMP")),
        (encode(".ppm"), Header("PNM")),
        (saved(PHOTO.convert("P"), "PNG"), Header("PNG", storage="palette")),
        (saved(PHOTO.convert("P"), "BMP"), Header("BMP", storage="palette")),
        (saved(PHOTO.convert("L"), "BMP"), Header("BMP")),
        (saved(PHOTO.convert("CMYK"), "JPEG"), Header("JPEG", storage="CMYK")),
        (saved(PHOTO.convert("L"), "JPEG"), Header("JPEG")),
        (saved(PHOTO, "PNG", **FRAMES), Header("PNG", frames=3)),
        (saved(PHOTO, "WEBP", **FRAMES), Header("WebP", frames=3)),
        (saved(PHOTO, "GIF"), Header("GIF")),
        (b"neither", Header()),
    ],
)
def test_header_says_how_the_image_is_stored(data: bytes, header: Header):
    assert examine(data) == header


@pytest.mark.parametrize(
    ("kind", "name"), [("GIF", "GIF"), ("JPEG2000", "JPEG 2000"), ("AVIF", "AVIF"), ("TIFF", "TIFF"), ("TGA", "")]
)
def test_format_by_the_first_bytes(kind: str, name: str):
    assert format_of(saved(PHOTO, kind)[:16]) == name


def test_turned_webp():
    data = saved(PHOTO, "WEBP", exif=b"Exif\0\0" + exif(6, ">"))
    assert examine(data) == Header("WebP", orientation=6)
