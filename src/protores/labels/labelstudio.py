"""Label Studio: its JSON export, a list of tasks.

https://labelstud.io/guide/export and /guide/task_format. Coordinates are percent of the image. Choices are tags. An
annotation that was submitted empty is a review; a skipped one, a draft or a prediction is none. Of several
annotations of a task the ground truth counts, else the newest.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from protores.errors import DataError
from protores.labels.labelled import Labelled, Malformed, attempt, number, point, polyline, read_json
from protores.labels.rle import label_studio_mask
from protores.labels.shapes import Bitmap, Dots, Ellipse, Polygon, Shape, box, turned

_IMAGE = re.compile(r"\.(png|jpe?g|bmp|tiff?|webp|pgm|ppm|jfif)$", re.IGNORECASE)
_NO_SHAPES = ("choices", "labels", "textarea", "rating", "number", "taxonomy", "relation", "datetime", "pairwise")


def read(source: Path) -> Iterator[Labelled]:
    """The images of a JSON file, or of all exports below a folder."""
    for path in sorted(source.rglob("*.json")) if source.is_dir() else [source]:
        tasks = read_json(path)
        if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
            continue
        if any("data" not in task or "annotations" not in task for task in tasks):
            raise DataError(f"{path}: tasks without annotations; export them from Label Studio as JSON, not JSON-MIN")
        for task in tasks:
            yield attempt(f"task {task.get('id')}", path, _labelled, task, path)


def _labelled(task: dict[str, Any], path: Path) -> Labelled:
    done = [annotation for annotation in task["annotations"] if not annotation.get("was_cancelled")]
    done.sort(key=lambda annotation: (bool(annotation.get("ground_truth")), str(annotation.get("updated_at", ""))))
    regions = list(done[-1]["result"]) if done else []
    names = {region.get("id"): _labels(region) for region in regions if region.get("type") == "labels"}
    outlines = []
    for region in regions:
        if region.get("type") not in _NO_SHAPES:
            for label in _labels(region) or names.get(region.get("id")) or ("defect",):
                outlines.append((label, _shape(region)))
    tags = [choice for region in regions if region.get("type") == "choices" for choice in region["value"]["choices"]]
    sizes = {_size(region) for region in regions if "original_width" in region}
    return Labelled(
        _name(task["data"]),
        path,
        tuple(outlines),
        tags=tuple(map(str, tags)),
        reviewed=bool(done),
        size=sizes.pop() if len(sizes) == 1 else None,
    )


def _labels(region: dict[str, Any]) -> tuple[str, ...]:
    kind = str(region.get("type"))
    return tuple(map(str, region["value"].get(kind, ()))) if kind.endswith("labels") else ()


def _size(region: dict[str, Any]) -> tuple[int, int]:
    return round(number(region.get("original_height"))), round(number(region.get("original_width")))


def _shape(region: dict[str, Any]) -> Shape:
    if region.get("image_rotation"):
        raise Malformed("an image that was turned while it was labelled")
    height, width = _size(region)
    value = region["value"]

    def at(x: Any, y: Any) -> tuple[float, float]:
        return number(x) * width / 100, number(y) * height / 100

    if value.get("format") == "rle":
        return Bitmap(label_studio_mask(value["rle"], (height, width)))
    if "points" in value:
        return Polygon(tuple(at(x, y) for x, y in polyline(value["points"], least=3)))
    if "radiusX" in value:
        radii = at(value["radiusX"], value["radiusY"])
        return Ellipse(at(value["x"], value["y"]), radii, number(value.get("rotation", 0)))
    if str(region.get("type")).startswith("keypoint"):
        return Dots((at(value["x"], value["y"]),))
    if "height" in value and "width" in value:
        corner, extent = at(value["x"], value["y"]), at(value["width"], value["height"])
        whole = box(*corner, corner[0] + extent[0], corner[1] + extent[1])
        return turned(whole, number(value.get("rotation", 0)), point(*corner))
    raise Malformed(f"a shape {region.get('type')!r} that outlines no area")


def _name(data: dict[str, Any]) -> str:
    """The image's path: below the root of local files, or the file's name of an upload or an address."""
    texts = [value for value in data.values() if isinstance(value, str)]
    address = next((text for text in texts if _IMAGE.search(urlsplit(text).path) or "/local-files/" in text), None)
    if address is None:
        raise Malformed("a task without an image")
    parts = urlsplit(address)
    if "/local-files/" in parts.path:
        return parse_qs(parts.query)["d"][0].replace("\\", "/")
    return unquote(parts.path).rsplit("/", 1)[-1]
