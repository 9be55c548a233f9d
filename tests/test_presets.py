"""Presets, overrides, what is refused and how; the file gives back what was saved."""

import json

import pytest

from protores import presets
from protores.errors import SettingsError
from protores.presets import PRESETS, from_json, load
from protores.settings import Section, Settings


def sections() -> list[type[Section]]:
    return [
        Settings,
        *(
            f.annotation
            for f in Settings.model_fields.values()
            if isinstance(f.annotation, type) and issubclass(f.annotation, Section)
        ),
    ]


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_loads_and_is_what_it_says(preset):
    loaded = load(preset)
    assert loaded.preset == preset
    for section, changes in PRESETS[preset].items():
        for key, value in changes.items():
            assert getattr(getattr(loaded, section), key) == value


def test_presets_of_the_issue():
    assert list(PRESETS) == ["quick", "standard", "paper"]
    assert load().preset == "standard"
    assert load("quick").training.minutes == 10
    assert load("quick").model == load("standard").model


@pytest.mark.parametrize("preset", PRESETS)
def test_json_gives_the_same_settings_back(preset, tmp_path):
    changed = load(preset, {"data.root": tmp_path, "split.seen_kinds": ("a", "b"), "data.size": (64, 96), "seed": 3})
    assert from_json(changed.model_dump_json()) == changed


def test_overrides_as_values_and_as_text():
    typed = load("quick", {"training.steps": 7, "model.token_grids": (4, 8), "training.minutes": None, "seed": 5})
    written = load(
        "quick", {"training.steps": "7", "model.token_grids": "[4, 8]", "training.minutes": "null", "seed": "5"}
    )
    assert typed == written
    assert typed.training.steps == 7
    assert typed.training.minutes is None
    assert load("standard", {"split.seen_kinds": "a,b"}).split.seen_kinds == ("a", "b")
    assert load("standard", {"model.weights": "/some/file.safetensors"}).model.weights == "/some/file.safetensors"


def test_an_override_wins_over_its_preset_and_leaves_the_preset_alone():
    assert load("paper", {"training.optimizer": "adamw"}).training.optimizer == "adamw"
    assert load("paper").training.optimizer == "adam"


def test_every_setting_says_what_it_is():
    for section in sections():
        for name, field in section.model_fields.items():
            if section is Settings and isinstance(field.annotation, type) and issubclass(field.annotation, Section):
                continue
            assert field.description, f"{section.__name__}.{name}"


def test_settings_are_frozen():
    with pytest.raises(Exception, match="frozen"):
        load().seed = 4  # type: ignore[misc]


@pytest.mark.parametrize(
    ("key", "value", "cure"),
    [
        ("training.step", "3", "training.steps"),
        ("trainning.steps", "3", "training.steps"),
        ("sede", "3", "seed"),
        ("model.weights.x", "3", "model.weights"),
        ("training.steps", "many", "training.steps"),
        ("training.steps", "0", "greater than or equal to 1"),
        ("training.precision", "f64", "'auto', 'bf16' or 'f32'"),
        ("data.size", "[64]", "data.size"),
        ("synthesis.pastes", "[5, 1]", "smaller number first"),
        ("synthesis.kinds", '{"perlin": 0}', "at least one weight"),
        ("model.token_grids", "[1, 2, 4]", "multiple of the 3 heads"),
        ("model", "5", "model"),
    ],
)
def test_a_wrong_key_or_value_is_one_line_that_helps(key, value, cure):
    with pytest.raises(SettingsError) as caught:
        load("standard", {key: value})
    assert cure in str(caught.value)
    assert "\n" not in str(caught.value)


def test_local_prototypes_are_for_one_product():
    with pytest.raises(SettingsError, match="leave out --multi"):
        load("standard", {"model.local_prototypes": 8, "data.products": ("a", "b")})


def test_an_unknown_preset_names_the_known():
    with pytest.raises(SettingsError, match="'fast'; choose quick, standard, paper"):
        load("fast")


DAMAGED = (
    "{", "[]", '{"nonsense": 1}', json.dumps({"training": {"steps": -1}}), json.dumps({"no\nsense": 1}), "[" * 100_000,
    '{"seed": ' + "9" * 5000 + "}", '{"training": {"minutes": Infinity}}', '{"model": {"weights": "\\ud800"}}',
    '{"model": {"token_grids": []}}',
)  # fmt: skip


@pytest.mark.parametrize("text", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_file_is_a_settings_error(text):
    with pytest.raises(SettingsError) as caught:
        from_json(text)
    assert "\n" not in str(caught.value)


def test_a_stage_at_a_half_cannot_end_at_a_quarter():
    with pytest.raises(SettingsError, match="model.output_stride to 2 or 1, or model.detail to 0"):
        load("standard", {"model.output_stride": 4})


def test_the_module_changes_nothing_when_a_preset_is_loaded():
    before = json.dumps(presets.PRESETS)
    load("paper", {"training.steps": 3, "model.output_stride": 4})
    assert json.dumps(presets.PRESETS) == before
