"""Images as a browser can show them, and masks as people paint them."""

import base64

import cv2
import numpy as np

from protores.data.container import Damaged
from protores.data.dimensions import pixel_count
from protores.data.image import decode_image, encode_mask, shrink, to_rgb
from protores.errors import UnreadableImage
from protores.station.records import Judgement, Record
from protores.station.refusal import Refusal


def browser_png(content: bytes, bit_depth: int, longest: int | None = None) -> bytes:
    """An image file as PNG, 8-bit RGB. bit_depth: bits that 16-bit images really use. longest: of its sides, at most.

    Raises UnreadableImage.
    """
    pixels = to_rgb(decode_image(content, "image").pixels, bit_depth)
    if longest is not None:
        pixels = shrink(pixels, longest)
    return cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes()


def painted_mask(judgement: Judgement, record: Record) -> bytes | None:
    """The painted mask as a PNG file, 0 or 255, of the image's size; None where nothing is painted.

    Raises Refusal where it is no PNG, has another size than the image, or is painted on what is called good.
    """
    if judgement.mask is None:
        return None
    height, width = record.size
    try:
        content = base64.b64decode(judgement.mask, validate=True)
        if pixel_count(content) != height * width:  # before it is unpacked
            raise _wrong_size(record)
        pixels = decode_image(content, "mask").pixels
    except (ValueError, Damaged, UnreadableImage) as error:  # the first where it is no base64
        raise Refusal(422, "the mask is no PNG file in base64; send one of the image's own size") from error
    if pixels.shape[:2] != (height, width):
        raise _wrong_size(record)
    mask = (pixels if pixels.ndim == 2 else pixels.max(axis=2)) > 0
    if not mask.any():
        return None
    if judgement.label == "good":
        raise Refusal(422, "a mask marks a defect, and the label is good; send the label bad, or no mask")
    return encode_mask(mask.astype(np.uint8))


def _wrong_size(record: Record) -> Refusal:
    height, width = record.size
    return Refusal(422, f"the mask has another size than the image; send one of {width} x {height} pixels")
