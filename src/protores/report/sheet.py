"""Contact sheets: rows of pictures with captions on a light page, drawn with OpenCV alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from protores.files import write_whole

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

PAGE, INK, FAINT = (250, 250, 248), (28, 30, 34), (112, 116, 122)
MARGIN, GAP = 20, 10
FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True)
class Cell:
    """A picture, uint8 H x W x 3 or H x W, and a line under it."""

    image: Image
    caption: str = ""


@dataclass(frozen=True)
class Row:
    """Cells side by side under a title; an empty title takes no room."""

    title: str
    cells: Sequence[Cell]


def sheet(rows: Sequence[Row], title: str = "", cell: int = 256, key: Cell | None = None) -> Image:
    """All rows on one page, uint8 H x W x 3.

    Every picture is brought to `cell` pixels of width, in its own proportions; rows without cells are left
    out. key: a picture for the header, at its own size, with its caption before it. Text that is not ASCII
    is spelt with "?", text that is too long ends with "..".
    """
    rows = [row for row in rows if row.cells]
    columns = max([len(row.cells) for row in rows], default=1)
    width = 2 * MARGIN + columns * cell + (columns - 1) * GAP
    parts = [
        _header(title, width, key),
        *(_row(row, cell, width) for row in rows),
        _blank(MARGIN - GAP, width),
    ]
    return np.concatenate(parts)


def fit(image: Image, width: int) -> Image:
    """The picture, gray or RGB, as uint8 RGB of that width in its own proportions."""
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    if image.shape[:2] == (height, width):
        return image
    how = cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)


def stacked(sheets: Sequence[Image]) -> Image:
    """Pages below each other, as wide as the widest."""
    width = max(sheet.shape[1] for sheet in sheets)
    return np.concatenate([np.hstack([sheet, _blank(len(sheet), width - sheet.shape[1])]) for sheet in sheets])


def save(path: Path, image: Image) -> None:
    """Write a PNG, beside its place first and then moved there: never half a picture. Raises OSError."""
    pixels = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, cv2.imencode(".png", pixels)[1].tobytes())


def ascii_text(text: str) -> str:
    """OpenCV's fonts know ASCII only: every other character, and every control character, becomes "?"."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)


def _blank(height: int, width: int) -> Image:
    return np.full((height, width, 3), PAGE, np.uint8)


def _length(text: str, scale: float) -> int:
    return cv2.getTextSize(text, FONT, scale, 1)[0][0]


def _write(page: Image, text: str, x: int, y: int, room: int, scale: float, colour: Colour) -> None:
    """Text with its baseline at y, cut to `room` pixels."""
    whole = text = ascii_text(text)
    while text and _length(text, scale) > room:
        whole = whole[:-1]
        text = whole and whole + ".."
    if text:
        cv2.putText(page, text, (x, y), FONT, scale, colour, 1, cv2.LINE_AA)


def _header(title: str, width: int, key: Cell | None) -> Image:
    page = _blank(58 if title or key else MARGIN, width)
    right = width - MARGIN
    if key is not None:
        picture = key.image[: page.shape[0], : width - 2 * MARGIN]
        top, right = (page.shape[0] - len(picture)) // 2, right - picture.shape[1]
        page[top : top + len(picture), right : right + picture.shape[1]] = picture
        length = min(_length(ascii_text(key.caption), 0.42), right - 2 * MARGIN)
        _write(page, key.caption, right - length - 10, 34, length + 1, 0.42, FAINT)
        right -= length + 10 + MARGIN
    _write(page, title, MARGIN, 36, right - MARGIN, 0.7, INK)
    return page


def _row(row: Row, cell: int, width: int) -> Image:
    pictures = [fit(c.image, cell) for c in row.cells]
    tallest = max(len(p) for p in pictures)
    head, foot = (28 if row.title else 0), (22 if any(c.caption for c in row.cells) else 0)
    page = _blank(head + tallest + foot + GAP, width)
    _write(page, row.title, MARGIN, 18, width - 2 * MARGIN, 0.5, INK)
    for column, (picture, c) in enumerate(zip(pictures, row.cells, strict=True)):
        x = MARGIN + column * (cell + GAP)
        page[head : head + len(picture), x : x + cell] = picture
        _write(page, c.caption, x, head + tallest + 16, cell, 0.42, FAINT)
    return page
