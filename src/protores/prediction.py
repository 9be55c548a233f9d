"""One run over image files that nobody has labelled: scores, maps and overlays."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from protores.data.folders import images_in
from protores.data.image import fit_box, read_image, read_mask, resize_image, valid_pixels
from protores.errors import DataError
from protores.files import write_text
from protores.model.network import PRN
from protores.model.scoring import score_images
from protores.progress import Progress
from protores.report import pictures
from protores.settings import Settings


@dataclass(frozen=True)
class Prediction:
    """score: of the image, in [0, 1]; peak: the map's highest value; area: share of the image above the run's
    map threshold, None where it has none; overlay: the picture written."""

    path: Path
    score: float
    peak: float
    area: float | None
    overlay: Path


def predict_images(
    network: PRN,
    settings: Settings,
    threshold: float | None,
    images: Sequence[Path],
    into: Path,
    progress: Progress,
) -> list[Prediction]:
    """Writes NAME_map.png (16 bit, 65535 = 1) and NAME_overlay.png at each image's size, and predictions.csv.

    Raises UnreadableImage for the first file that cannot be read, before anything is written.
    """
    files = _files(images)
    depth = settings.data.bit_depth or 16
    for path in files:
        read_image(path, depth)
    ignored = None if settings.data.ignore is None else read_mask(settings.data.ignore)
    into.mkdir(parents=True, exist_ok=True)
    names = _names(files)
    predictions = []
    for done, (path, name) in enumerate(zip(files, names, strict=True), start=1):
        image = read_image(path, depth)
        small = resize_image(image, settings.data.size, settings.data.keep_aspect)
        valid = valid_pixels(image.shape, settings.data.size, settings.data.keep_aspect, ignored)
        maps, scores = score_images(
            network, small[None], settings.model.score_top, None if valid is None else valid[None]
        )
        full = full_size(maps[0], image.shape, settings)
        pictures.save_map(into / f"{name}_map.png", full)
        overlay = into / f"{name}_overlay.png"
        pictures.save(overlay, pictures.overlay(image, full, threshold))
        area = None if threshold is None else float((full >= threshold).mean())
        predictions.append(Prediction(path, float(scores[0]), float(maps[0].max()), area, overlay))
        progress.track("judging images", done, len(files))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("image", "score", "peak", "area", "overlay"))
    writer.writerows((p.path, f"{p.score:.6f}", f"{p.peak:.6f}", p.area, p.overlay.name) for p in predictions)
    write_text(into / "predictions.csv", text.getvalue())
    return predictions


def full_size(anomaly_map: NDArray[np.float32], shape: tuple[int, ...], settings: Settings) -> NDArray[np.float32]:
    """The map at the image's own size, without the border that keep_aspect filled. shape: H x W (x C)."""
    top, left, height, width = fit_box(shape, settings.data.size, settings.data.keep_aspect)
    inside = anomaly_map[top : top + height, left : left + width]
    return cv2.resize(inside, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)


def _files(images: Sequence[Path]) -> list[Path]:
    files = [file for path in images for file in (images_in(path) if path.is_dir() else [path])]
    if not files:
        raise DataError("no images to judge; name image files or a folder with images in it")
    return files


def _names(files: Sequence[Path]) -> list[str]:
    """The stems, with a number behind those that come again."""
    names: list[str] = []
    for file in files:
        name, n = file.stem, 1
        while name in names:
            name, n = f"{file.stem}_{n}", n + 1
        names.append(name)
    return names
