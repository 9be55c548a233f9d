"""One image as an annotation tool describes it, whatever the tool."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protores.errors import DataError
from protores.labels.shapes import Point, Shape


@dataclass(frozen=True)
class Labelled:
    """name: the image's path as the tool knows it, with "/". source: the file that says all this.

    outlines: label and shape of each. tags: labels of the image as a whole. reviewed: the tool knows that somebody
    looked at it, whatever was found. size: height and width that the coordinates are for, None where the tool does not
    say. beside: where to look for the image first; embedded: the source holds it as well. error: why its labels cannot
    be used, None where they can.
    """

    name: str
    source: Path
    outlines: tuple[tuple[str, Shape], ...] = ()
    tags: tuple[str, ...] = ()
    reviewed: bool = False
    size: tuple[int, int] | None = None
    beside: Path | None = None
    embedded: bool = False
    error: str | None = None


class Malformed(ValueError):
    """A part of a label file is not what the tool writes; the message says which in a few words."""


def attempt(name: str, source: Path, read: Callable[..., Labelled], *arguments: Any) -> Labelled:
    """read(*arguments); where the image's labels are not what the tool writes, its name and the error."""
    try:
        return read(*arguments)
    except Malformed as error:
        why = str(error)
    except KeyError as error:
        why = f"no {error.args[0]!r}"
    except (ValueError, TypeError, AttributeError, IndexError):
        why = "a part that the tool does not write"
    return Labelled(name, source, error=why)


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises DataError where it is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: no JSON that can be read ({error}); export it again") from error


def point(x: Any, y: Any) -> Point:
    """Two numbers. Raises Malformed for anything else."""
    return number(x), number(y)


def number(value: Any) -> float:
    """A finite number, or the text of one. Raises Malformed for anything else."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise Malformed(f"a coordinate {value!r}")
    return found


def polyline(points: Any, least: int) -> tuple[Point, ...]:
    """A list of pairs of numbers. Raises Malformed for anything else, and for fewer than `least`."""
    try:
        found = tuple(point(x, y) for x, y in points)
    except Malformed:
        raise
    except (TypeError, ValueError) as error:
        raise Malformed(f"points {str(points)[:40]}") from error
    if len(found) < least:
        raise Malformed(f"a shape of {len(found)} points")
    return found


def stated_size(height: Any, width: Any) -> tuple[int, int] | None:
    """Height and width, None where the tool does not state them."""
    if not height or not width:
        return None
    return round(number(height)), round(number(width))
