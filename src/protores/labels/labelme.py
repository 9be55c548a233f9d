"""labelme: a JSON file for each image, beside it, or with the image inside it.

https://github.com/wkentaro/labelme; versions 3 to 6. Flags of the image (`--flags`) are its tags. labelme knows no
reviewed images: one without a JSON file, or with an empty one, is not labelled.
"""

import base64
import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np

from protores.data.folders import images_in
from protores.labels.labelled import Labelled, Malformed, attempt, polyline, read_json, stated_size
from protores.labels.shapes import Bitmap, Dots, Ellipse, Line, Polygon, Shape, box


def read(source: Path) -> Iterator[Labelled]:
    """The images of a JSON file, or of all of them below a folder and the images there that have none."""
    root = source if source.is_dir() else source.parent
    taken: set[Path] = set()
    for path in sorted(source.rglob("*.json")) if source.is_dir() else [source]:
        content = read_json(path)
        if isinstance(content, dict) and isinstance(content.get("shapes"), list):
            one = attempt(path.relative_to(root).as_posix(), path, _labelled, content, path, root)
            if one.beside is not None:
                taken.add(one.beside.resolve())
            yield one
    if source.is_dir() and taken:
        for path in images_in(source, deep=True):
            if path.resolve() not in taken:
                yield Labelled(path.relative_to(root).as_posix(), path, beside=path)


def embedded_image(source: Path) -> bytes:
    """The image's own file, as labelme keeps it inside its JSON. Raises Malformed where that is damaged."""
    return _decoded(read_json(source).get("imageData"))


def _labelled(content: dict[str, Any], path: Path, root: Path) -> Labelled:
    file = content["imagePath"].replace("\\", "/")
    flags = content.get("flags") or {}
    return Labelled(
        name=(path.parent.relative_to(root) / PurePosixPath(file).name).as_posix(),
        source=path,
        outlines=tuple((str(shape["label"]), _shape(shape)) for shape in content["shapes"]),
        tags=tuple(str(flag) for flag, is_set in flags.items() if is_set is True),
        size=stated_size(content.get("imageHeight"), content.get("imageWidth")),
        beside=path.parent / file,
        embedded=bool(content.get("imageData")),
    )


def _shape(shape: dict[str, Any]) -> Shape:
    kind = shape.get("shape_type") or "polygon"
    points = polyline(shape.get("points"), least=1)
    corner = points[0]
    if kind == "rectangle" and len(points) == 2:
        return box(*corner, *points[1])
    if kind in ("polygon", "rectangle", "oriented_rectangle") and len(points) >= 3:
        return Polygon(points)
    if kind == "circle" and len(points) == 2:
        radius = math.dist(*points)
        return Ellipse(corner, (radius, radius))
    if kind in ("line", "linestrip"):
        return Line(points)
    if kind in ("point", "points"):
        return Dots(points)
    if kind == "mask":
        pixels = cv2.imdecode(np.frombuffer(_decoded(shape.get("mask")), np.uint8), cv2.IMREAD_UNCHANGED)
        if pixels is None:
            raise Malformed("a mask that is no image")
        flat = pixels if pixels.ndim == 2 else pixels.max(axis=2)
        left, top = (math.floor(value) for value in corner)
        return Bitmap((flat > 0).astype(np.uint8), left, top)
    raise Malformed(f"a shape {kind!r} of {len(points)} points")


def _decoded(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError) as error:
        raise Malformed("base64 data that are damaged") from error
