"""Presets, and settings made from them: `load("quick", {"training.steps": "100"})` gives a frozen Settings.

Unknown presets and keys are errors.
"""

import difflib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from protores.errors import SettingsError
from protores.settings import Settings

PRESETS: dict[str, dict[str, Any]] = {
    "quick": {"training": {"steps": 1000, "minutes": 10.0}},
    "standard": {},
    "paper": {
        "model": {
            "residual": "squared",
            "leave_one_out": False,
            "widths": None,
            "attention_blocks": (3, 3, 3),
            "token_grids": (1, 2, 4, 8),
            "bottom": "layer4",
            "decoder_widths": (64, 128, 256),
            "detail": 0,
            "output_stride": 1,
            "context": 0.0,
        },
        "training": {
            "steps": 4000,
            "batch_size": 48,
            "dice": 0.0,
            "optimizer": "adam",
            "learning_rate": 1e-4,
            "second_moment": 0.999,
        },
    },
}
"""What each preset changes. `standard` is the defaults; quick is its network on a short schedule."""


def load(preset: str = "standard", overrides: Mapping[str, Any] | None = None) -> Settings:
    """The settings of a preset with overrides on top.

    overrides: dotted keys ("training.steps") to values, or to the text of a value as on the command line
    ("100", "0.5", "[4, 8]", "null").
    Raises SettingsError for an unknown preset or key, and for a value that its field does not take.
    """
    if preset not in PRESETS:
        raise SettingsError(f"unknown preset {preset!r}; choose {', '.join(PRESETS)}")
    values: dict[str, Any] = {"preset": preset}
    for section, changes in PRESETS[preset].items():
        values[section] = dict(changes)
    for key, value in (overrides or {}).items():
        _set(values, key, value)
    return _validate(values)


def changed(settings: Settings, overrides: Mapping[str, Any]) -> Settings:
    """Settings with overrides on top, as `load` takes and refuses them."""
    values = settings.model_dump()
    for key, value in overrides.items():
        _set(values, key, value)
    return _validate(values)


def from_json(text: str) -> Settings:
    """Settings as `Settings.model_dump_json()` wrote them. Raises SettingsError where they are not."""
    try:
        values = json.loads(text)
        json.dumps(values, ensure_ascii=False, allow_nan=False).encode()  # no NaN and no half characters
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"settings are not JSON ({error}); restore the file or train anew") from error
    return _validate(values)


def _set(values: dict[str, Any], key: str, value: Any) -> None:
    *sections, name = key.split(".")
    fields: Any = Settings
    at = values
    for section in sections:
        fields = _field(fields, section, key)
        at = at.setdefault(section, {})
    if key == "preset" or hasattr(_field(fields, name, key), "model_fields"):
        raise SettingsError(f"{key!r} is not one value; choose presets by --preset, and set keys like training.steps")
    at[name] = _parsed(value) if isinstance(value, str) else value


def _field(model: Any, name: str, key: str) -> Any:
    known = getattr(model, "model_fields", {})
    if name not in known:
        close = difflib.get_close_matches(key, _all_keys(), n=3, cutoff=0.4)
        raise SettingsError(
            f"unknown setting {key!r}; did you mean {', '.join(close) or 'a key of settings.json'}?"
        )
    return known[name].annotation


def _all_keys() -> list[str]:
    keys = []
    for name, field in Settings.model_fields.items():
        inner = getattr(field.annotation, "model_fields", None)
        keys += [f"{name}.{key}" for key in inner] if inner else [name]
    return keys


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text.split(",") if "," in text else text


def _validate(values: Any) -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = " ".join(".".join(str(part) for part in first["loc"]).split())
        why = first["msg"].removeprefix("Value error, ")
        raise SettingsError(
            f"setting {where or 'values'}: {why}; it was {str(first['input'])[:60]!r}"
        ) from error
