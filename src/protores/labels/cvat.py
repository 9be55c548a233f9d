"""CVAT: the XML that it exports as "CVAT for images 1.1".

https://docs.cvat.ai/docs/other/xml_format. Tags are those of the image. CVAT does not note in this file
which images were reviewed: one without shapes and tags is not labelled.
"""

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from protores.errors import DataError
from protores.labels.labelled import Labelled, Malformed, attempt, number, point, polyline, stated_size
from protores.labels.rle import from_runs
from protores.labels.shapes import Bitmap, Dots, Ellipse, Line, Polygon, Shape, box, turned


def read(source: Path) -> Iterator[Labelled]:
    """The images of an XML file, or of all of CVAT's below a folder."""
    for path in sorted(source.rglob("*.xml")) if source.is_dir() else [source]:
        try:
            root = ElementTree.parse(path).getroot()
        except (OSError, ElementTree.ParseError) as error:
            raise DataError(f"{path}: no XML that can be read ({error}); export it again") from error
        if root.tag != "annotations":
            continue
        if root.find("track") is not None:
            raise DataError(f"{path}: holds tracks of a video; export it from CVAT as 'CVAT for images 1.1'")
        for image in root.iter("image"):
            yield attempt(image.get("name", "?"), path, _labelled, image, path)


def _labelled(image: Element, path: Path) -> Labelled:
    name, subset = _attribute(image, "name"), image.get("subset")
    return Labelled(
        name=name.replace("\\", "/"),
        source=path,
        outlines=tuple((_attribute(part, "label"), _shape(part)) for part in image if part.tag != "tag"),
        tags=tuple(_attribute(tag, "label") for tag in image.iter("tag")),
        size=stated_size(image.get("height"), image.get("width")),
        beside=None if subset is None else path.parent / "images" / subset / name,
    )


def _shape(part: Element) -> Shape:
    if part.tag == "box":
        left, top, right, bottom = (number(part.get(side)) for side in ("xtl", "ytl", "xbr", "ybr"))
        return turned(box(left, top, right, bottom), _turn(part), ((left + right) / 2, (top + bottom) / 2))
    if part.tag == "ellipse":
        cx, cy, rx, ry = (number(part.get(name)) for name in ("cx", "cy", "rx", "ry"))
        return Ellipse(point(cx, cy), (rx, ry), _turn(part))
    if part.tag == "mask":
        left, top, width, height = (round(number(part.get(name))) for name in ("left", "top", "width", "height"))
        runs = [round(number(run)) for run in _attribute(part, "rle").split(",")]
        return Bitmap(from_runs(runs, (height, width), "C"), left, top)
    if part.tag in ("polygon", "polyline", "points"):
        points = polyline([pair.split(",") for pair in _attribute(part, "points").split(";")], least=1)
        if part.tag == "polygon" and len(points) >= 3:
            return Polygon(points)
        if part.tag == "polyline":
            return Line(points)
        if part.tag == "points":
            return Dots(points)
    raise Malformed(f"a shape {part.tag!r} that outlines no area")


def _turn(part: Element) -> float:
    return number(part.get("rotation", "0"))


def _attribute(part: Element, name: str) -> str:
    found = part.get(name)
    if found is None:
        raise Malformed(f"a {part.tag} without {name}")
    return found
