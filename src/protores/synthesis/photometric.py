"""Photometric operations on uint8 RGB images by look-up tables and small filters, fast enough for training.

The list is in docs/method.md. Gray images stay gray under all of them.
"""

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from protores.settings import PhotometricOperation

Operation = Callable[[np.ndarray, np.random.Generator], np.ndarray]
_LEVELS = np.arange(256, dtype=np.float32)


def _look_up(image: np.ndarray, levels: np.ndarray) -> np.ndarray:
    return cv2.LUT(image, np.clip(levels + 0.5, 0, 255).astype(np.uint8))


def brightness(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Adds up to 50 gray levels, either way."""
    return _look_up(image, _LEVELS + rng.uniform(-50, 50))


def contrast(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Stretches around the image's own mean by a factor of 0.5 to 1.8."""
    centre = float(np.mean(cv2.mean(image)[:3]))
    return _look_up(image, centre + rng.uniform(0.5, 1.8) * (_LEVELS - centre))


def gamma(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gamma of 1/2 to 2, evenly in its logarithm."""
    return _look_up(image, 255 * (_LEVELS / 255) ** (2.0 ** rng.uniform(-1, 1)))


def noise(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Adds Gaussian luminance noise of 3 to 20 gray levels."""
    grain = rng.standard_normal(image.shape[:2], dtype=np.float32)
    grain *= np.float32(rng.uniform(3, 20))
    return cv2.add(image, cv2.merge([grain, grain, grain]), dtype=cv2.CV_8U)


def blur(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gaussian blur, sigma 0.5 to 2 pixels."""
    return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 2.0))


def sharpen(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Unsharp mask of strength 0.5 to 2."""
    strength = rng.uniform(0.5, 2.0)
    return cv2.addWeighted(image, 1 + strength, cv2.blur(image, (3, 3)), -strength, 0)


def hue(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turns the hue by any angle and scales the saturation by 0.5 to 1.5."""
    angles, saturation, value = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL))
    turned = cv2.LUT(angles, np.roll(np.arange(256, dtype=np.uint8), int(rng.integers(256))))
    scaled = _look_up(saturation, _LEVELS * rng.uniform(0.5, 1.5))
    return cv2.cvtColor(cv2.merge([turned, scaled, value]), cv2.COLOR_HSV2RGB_FULL)


def posterize(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Keeps 4 to 16 gray levels per channel."""
    step = 256 // 2 ** int(rng.integers(2, 5))
    return _look_up(image, _LEVELS // step * step + step // 2)


def solarize(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Inverts what is brighter than a level of 32 to 200."""
    return _look_up(image, np.where(rng.uniform(32, 200) < _LEVELS, 255 - _LEVELS, _LEVELS))


def invert(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The negative."""
    return cv2.bitwise_not(image)


def equalize(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Histogram equalisation of each channel."""
    return cv2.merge([cv2.equalizeHist(channel) for channel in cv2.split(image)])


OPERATIONS: dict[str, Operation] = {
    "brightness": brightness,
    "contrast": contrast,
    "gamma": gamma,
    "noise": noise,
    "blur": blur,
    "sharpen": sharpen,
    "hue": hue,
    "posterize": posterize,
    "solarize": solarize,
    "invert": invert,
    "equalize": equalize,
}
_NAMES = tuple(OPERATIONS)


def some(image: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` different operations, any of them, one after the other."""
    for index in rng.permutation(len(_NAMES))[:count]:
        image = OPERATIONS[_NAMES[index]](image, rng)
    return image


def each(
    image: np.ndarray, probabilities: Mapping[PhotometricOperation, float], rng: np.random.Generator
) -> np.ndarray:
    """Each named operation with its own probability, in the given order."""
    for name, probability in probabilities.items():
        if rng.random() < probability:
            image = OPERATIONS[name](image, rng)
    return image
