"""CVAT for images 1.1."""

import zipfile
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
import pytest

from protores.errors import DataError


def part(tag: str, label: str, **attributes) -> str:
    written = " ".join(f"{name}={quoteattr(str(value))}" for name, value in attributes.items())
    return f'    <{tag} label={quoteattr(label)} source="manual" occluded="0" {written} z_order="0">\n    </{tag}>\n'


def write(path: Path, images: dict[str, str], size: tuple[int, int] = (24, 32)) -> Path:
    body = "".join(
        f'  <image id="{number}" name={quoteattr(name)} width="{size[1]}" height="{size[0]}">\n{parts}  </image>\n'
        for number, (name, parts) in enumerate(images.items())
    )
    meta = "<meta><task><name>t</name><labels><label><name>dent</name></label></labels></task></meta>"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = f"<annotations>\n  <version>1.1</version>\n{meta}\n{body}</annotations>\n"
    path.write_text(f'<?xml version="1.0" encoding="utf-8"?>\n{text}', encoding="utf-8")
    return path


def runs(mask: np.ndarray) -> str:
    flat = mask.ravel()
    changes = np.flatnonzero(np.diff(flat, prepend=0))
    return ", ".join(map(str, np.diff(np.concatenate([[0], changes, [len(flat)]])).tolist()))


def test_every_shape(tmp_path, photo, imported, square, blob):
    y, x = np.mgrid[:24, :32] + 0.5
    diamond = (abs(x - 16) + abs(y - 12) <= 8.25).astype(np.uint8)
    half = 8.25 / np.sqrt(2)
    around = {"xtl": 16 - half, "ytl": 12 - half, "xbr": 16 + half, "ybr": 12 + half}
    shapes = {
        "polygon": (part("polygon", "dent", points="4.00,3.00;12.00,3.00;12.00,9.00;4.00,9.00"), square(4, 3, 12, 9)),
        "box": (part("box", "dent", xtl="10.0", ytl="5.0", xbr="20.0", ybr="15.0"), square(10, 5, 20, 15)),
        "turned": (part("box", "dent", **around, rotation=45), diamond),
        "upright": (part("box", "dent", xtl=10, ytl=10, xbr=22, ybr=14, rotation="90.0"), square(14, 6, 18, 18)),
        "ellipse": (
            part("ellipse", "dent", cx=16, cy=12, rx=9, ry=4),
            (((x - 16) / 9) ** 2 + ((y - 12) / 4) ** 2 <= 1).astype(np.uint8),
        ),
        "slanted": (
            part("ellipse", "dent", cx=16, cy=12, rx=9, ry=3, rotation=30),
            (
                (((x - 16) * np.cos(np.pi / 6) + (y - 12) * 0.5) / 9) ** 2
                + (((y - 12) * np.cos(np.pi / 6) - (x - 16) * 0.5) / 3) ** 2
                <= 1
            ).astype(np.uint8),
        ),
        "mask": (part("mask", "dent", rle=runs(blob[3:20, 4:22]), left=4, top=3, width=18, height=17), None),
        "polyline": (
            part("polyline", "dent", points="5,10;25,10"),
            ((np.maximum(0, abs(x - 15) - 10) ** 2 + (y - 10) ** 2) <= 4).astype(np.uint8),
        ),
        "points": (
            part("points", "dent", points="6,6;20,15"),
            (((x - 6) ** 2 + (y - 6) ** 2 <= 4) | ((x - 20) ** 2 + (y - 15) ** 2 <= 4)).astype(np.uint8),
        ),
    }
    for name in shapes:
        photo(tmp_path / "src/images" / f"{name}.png")
    write(tmp_path / "src/annotations.xml", {f"{name}.png": text for name, (text, _) in shapes.items()})
    found = imported("cvat", tmp_path / "src", line_width=4)
    cut = np.zeros_like(blob)
    cut[3:20, 4:22] = blob[3:20, 4:22]
    for name, (_, mask) in shapes.items():
        np.testing.assert_array_equal(found[f"bad/dent/{name}.png"][1], cut if mask is None else mask, err_msg=name)


def test_tags_and_images_without_labels(tmp_path, photo, imported):
    images = {
        "ok.png": '    <tag label="OK" source="manual"></tag>\n',
        "bad.png": '    <tag label="defect" source="manual"></tag>\n',
        "both.png": '    <tag label="ok"></tag>\n' + part("box", "dent", xtl=1, ytl=1, xbr=5, ybr=5),
        "none.png": "",
        "tagged.png": '    <tag label="defect"></tag>\n' + part("box", "dent", xtl=1, ytl=1, xbr=5, ybr=5),
    }
    for name in images:
        photo(tmp_path / name)
    found = imported("cvat", write(tmp_path / "annotations.xml", images))
    assert {path: (kind, mask is not None) for path, (kind, mask) in found.items()} == {
        "good/ok.png": ("good", False),
        "bad/defect/bad.png": ("defect", False),
        "bad/dent/tagged.png": ("dent", True),
    }
    assert imported.result.set_aside == ("both.png", "none.png")


def test_the_zip_of_a_project_with_subsets(tmp_path, photo, imported, square):
    source = write(tmp_path / "src/annotations.xml", {"1.png": part("box", "dent", xtl=1, ytl=1, xbr=5, ybr=5)})
    text = source.read_text().replace('name="1.png"', 'name="1.png" subset="val" task_id="3"')
    source.write_text(text)
    right, wrong = photo(tmp_path / "src/images/val/1.png"), photo(tmp_path / "src/images/train/1.png")
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as packed:
        for path in (source, right, wrong):
            packed.write(path, path.relative_to(tmp_path / "src"))
    found = imported("cvat", tmp_path / "export.zip")
    assert list(found) == ["bad/dent/1.png"]
    assert (tmp_path / "data/bad/dent/1.png").read_bytes() == right.read_bytes()


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (part("cuboid", "dent", xtl1=1), "a shape 'cuboid' that outlines no area"),
        (part("polygon", "dent", points="1,2;3,4"), "a shape 'polygon' that outlines no area"),
        (part("polygon", "dent", points="1,2;3"), "points "),
        (part("box", "dent", xtl=1, ytl=2, xbr=3), "a coordinate None"),
        (part("mask", "dent", rle="3,4", left=1, top=1, width=3, height=3), "a part that the tool does not write"),
        ('    <polygon points="1,2;3,4;5,6"></polygon>\n', "a polygon without label"),
    ],
)
def test_what_cvat_does_not_write_is_an_error(tmp_path, photo, imported, parts, message):
    photo(tmp_path / "1.png")
    source = write(tmp_path / "annotations.xml", {"1.png": parts})
    with pytest.raises(DataError, match=f"annotations.xml: has {message}.* for 1.png"):
        imported("cvat", source)


def test_a_video_and_what_is_no_xml(tmp_path, imported):
    path = tmp_path / "annotations.xml"
    path.write_text('<annotations><track id="0" label="dent"></track></annotations>')
    with pytest.raises(DataError, match="holds tracks of a video; export it from CVAT as 'CVAT for images 1.1'"):
        imported("cvat", path)
    path.write_text("<annotations>")
    with pytest.raises(DataError, match="no XML that can be read"):
        imported("cvat", path)
    path.write_text("<other/>")
    with pytest.raises(DataError, match="no labels of cvat in there"):
        imported("cvat", path)
