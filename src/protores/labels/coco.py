"""COCO: JSON of instances, with polygons, run lengths plain or compressed, or boxes alone.

https://cocodataset.org/#format-data. A crowd is one more outline. COCO knows neither tags nor reviewed images.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from protores.errors import DataError
from protores.labels.labelled import Labelled, Malformed, attempt, number, polyline, read_json, stated_size
from protores.labels.rle import coco_runs, from_runs
from protores.labels.shapes import Bitmap, Polygon, Shape, box


def read(source: Path) -> Iterator[Labelled]:
    """The images of a JSON file, or of all instance files below a folder."""
    for path in sorted(source.rglob("*.json")) if source.is_dir() else [source]:
        content = read_json(path)
        if isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys():
            yield from _images(content, path)


def _images(content: dict[str, Any], path: Path) -> Iterator[Labelled]:
    try:
        kinds = {category["id"]: str(category["name"]) for category in content["categories"]}
        files = {image["id"]: str(image["file_name"]).replace("\\", "/") for image in content["images"]}
        found: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        for annotation in content["annotations"]:
            found[annotation["image_id"]].append(annotation)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: no COCO instances ({error} is missing); export it again") from error
    if lost := found.keys() - files.keys():
        raise DataError(f"{path}: annotates image {min(map(str, lost))}, which it does not list; export it again")
    for image in content["images"]:
        name = files[image["id"]]
        yield attempt(name, path, _labelled, image, name, path, kinds, found[image["id"]])


def _labelled(
    image: dict[str, Any], name: str, path: Path, kinds: dict[Any, str], annotations: list[dict[str, Any]]
) -> Labelled:
    size = stated_size(image.get("height"), image.get("width"))
    outlines = [(kinds[one["category_id"]], shape) for one in annotations for shape in _shapes(one, size)]
    return Labelled(name, path, tuple(outlines), size=size)


def _shapes(annotation: dict[str, Any], size: tuple[int, int] | None) -> list[Shape]:
    outline = annotation.get("segmentation")
    if isinstance(outline, dict):
        height, width = (round(number(side)) for side in outline["size"])
        if size not in (None, (height, width)):
            raise Malformed(f"run lengths for {width} x {height} pixels")
        counts = outline["counts"]
        runs = coco_runs(counts) if isinstance(counts, str) else [round(number(run)) for run in counts]
        return [Bitmap(from_runs(runs, (height, width), "F"))]
    if outline:
        return [Polygon(polyline(zip(part[::2], part[1::2], strict=True), least=3)) for part in outline]
    left, top, width, height = (number(value) for value in annotation["bbox"])
    return [box(left, top, left + width, top + height)]
