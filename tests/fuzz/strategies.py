"""Files that are nearly right: valid ones with bytes or values changed, by hypothesis."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import seeds
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def spoilt(draw: st.DrawFn, valid: bytes) -> bytes:
    """A file with a few bytes changed, taken out, put in, doubled, or cut off."""
    data = bytearray(valid)
    for _ in range(draw(st.integers(1, 4))):
        if not data:
            break
        at = draw(st.integers(0, len(data) - 1))
        match draw(st.sampled_from(("set", "cut", "out", "in", "double"))):
            case "set":
                data[at] = draw(st.integers(0, 255))
            case "cut":
                del data[at:]
            case "out":
                del data[at : at + draw(st.integers(1, 16))]
            case "in":
                data[at:at] = draw(st.binary(min_size=1, max_size=8))
            case "double":
                data[at:at] = data[at : at + draw(st.integers(1, 32))]
    return bytes(data)


def images() -> st.SearchStrategy[bytes]:
    """Image files, spoilt; and any bytes."""
    return st.sampled_from(seeds.images()).flatmap(spoilt) | st.binary(max_size=200)


@st.composite
def edited(draw: st.DrawFn, valid: dict[str, Any]) -> bytes:
    """A JSON file with one to three values replaced or taken out; sometimes with bytes spoilt on top."""
    values = copy.deepcopy(valid)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(values))
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        if draw(st.integers(0, 3)):
            holder[key] = draw(JSON)
        else:
            del holder[key]
    text = json.dumps(values).encode()
    return draw(spoilt(text)) if draw(st.integers(0, 4)) == 0 else text


def _places(values: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(values) if isinstance(values, dict) else range(len(values)) if isinstance(values, list) else ()
    for key in keys:
        yield values, key
        yield from _places(values[key])


def of(target: str) -> st.SearchStrategy[bytes]:
    """Inputs for a target."""
    if target == "image":
        return images()
    valid = {"contract": seeds.contract, "split": seeds.split, "settings": seeds.settings, "uses": seeds.uses}[target]()
    return edited(valid) | JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=64)
