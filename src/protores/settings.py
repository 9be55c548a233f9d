"""All settings in one place: the command line, settings.json and Python see the same ones.

`load("quick", {"training.steps": "100"})` gives a frozen Settings; unknown presets and keys are errors.
"""

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from protores.errors import SettingsError

Share = Field(ge=0.0, le=1.0)
Range = tuple[float, float]


class Section(BaseModel):
    """Frozen, and deaf to keys that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class DataSettings(Section):
    """How images are read."""

    size: tuple[int, int] = (256, 256)
    """Height and width in pixels that every image is resized to."""
    keep_aspect: bool = False
    """Resize without distortion and fill the rest; the filled border counts nowhere."""
    bit_depth: Literal[8, 10, 12, 14, 16] | None = None
    """Bits that 16-bit files really use; None: found from the good images."""
    ignore: Path | None = None
    """Image whose non-zero pixels count nowhere: neither in the loss, nor in a score or metric."""


class SplitSettings(Section):
    """Which image plays which role."""

    seen: int = Field(10, ge=0)
    """Defect images that training may see, spread over the kinds; they leave the test set."""
    seen_kinds: tuple[str, ...] | None = None
    """Kinds the seen ones are drawn from, the others stay unseen; None: all kinds."""
    calibration: float = Field(0.1, ge=0.0, lt=1.0)
    """Share of the good training images (and of the seen, from 20 on) kept out of training for calibration."""
    test: float = Field(0.3, gt=0.0, lt=1.0)
    """Share of the good images that is tested on, where the layout has no test part of its own."""


NonNegative = Annotated[float, Field(ge=0.0)]
PhotometricOperation = Literal[
    "brightness",
    "contrast",
    "gamma",
    "noise",
    "blur",
    "sharpen",
    "hue",
    "posterize",
    "solarize",
    "invert",
    "equalize",
]


class SynthesisSettings(Section):
    """How anomalies are made from good images (method.md, "Making anomalies")."""

    kinds: dict[Literal["perlin", "scar", "cutpaste", "warp", "light"], NonNegative] = {
        "perlin": 0.6,
        "scar": 0.1,
        "cutpaste": 0.1,
        "warp": 0.1,
        "light": 0.1,
    }
    """Weights of the kinds of simulated anomalies; a kind that is not named is not drawn."""
    area: Range = (0.0004, 0.3)
    """Least and largest part of the image that a simulated anomaly covers."""
    visible: float = Field(4.0, ge=0.0)
    """Gray levels that a simulated anomaly must change in the mean of a 5 x 5 window to count as one."""
    feather: float = Field(1.0, ge=0.0)
    """Width in pixels of the soft edge inside every mask; outside of it no pixel changes."""
    perlin_octaves: tuple[int, int] = (0, 5)
    """Cells of the Perlin grid per axis, as powers of two."""
    perlin_angle: float = Field(90.0, ge=0.0)
    """Largest rotation of the Perlin noise, degrees."""
    perlin_cut: float = 0.5
    """Noise above this is anomaly."""
    perlin_spots: Annotated[float, Share] = 0.5
    """Share of the Perlin masks that are cut down to one to three of their spots, as real defects come."""
    blend: Range = (0.2, 0.8)
    """Share of the good image that stays visible under a simulated anomaly."""
    self_object: Annotated[float, Share] = 0.5
    """Share of Perlin masks filled with the shuffled image itself, for objects."""
    self_texture: Annotated[float, Share] = 0.2
    """The same for textures, whose shuffled self is often as good as new."""
    sources: dict[Literal["folder", "procedural", "own"], NonNegative] = {
        "folder": 0.8,
        "procedural": 0.15,
        "own": 0.15,
    }
    """Weights of the texture sources: images of the user's folder, drawn ones, crops of the good images."""
    texture_images: int = Field(1500, ge=1)
    """Most images of the textures' folder that are kept in memory."""
    gray_textures: bool = True
    """Textures become gray where all good images are gray."""

    pastes: tuple[int, int] = (1, 5)
    """Fewest and most seen defects pasted onto one good image."""
    coverage: float = Field(0.5, gt=0.0, le=1.0)
    """Largest part of the image that extended anomalies cover."""
    moved: Annotated[float, Share] = 0.5
    """Share of pastes that go anywhere on the product even where their own place would do."""
    on_product: Annotated[float, Share] = 2 / 3
    """Least part of a seen defect that must lie on the product, else it is moved there."""
    flip: Annotated[float, Share] = 0.5
    """Share of seen defects that are mirrored."""
    quarter_turn: Annotated[float, Share] = 0.5
    """Share of seen defects that are turned by 90, 180 or 270 degrees."""
    rotate: Annotated[float, Share] = 0.5
    """Share of seen defects that are turned by any angle within `rotation`."""
    rotation: float = Field(45.0, ge=0.0, le=180.0)
    """Largest such angle, degrees."""
    scale: Range = (0.5, 1.5)
    """Range of the size factor of seen defects."""
    shift: float = Field(0.1, ge=0.0, le=1.0)
    """Largest shift from their own place, as part of the image's side."""
    distort: Annotated[float, Share] = 0.3
    """Share of seen defects that are bent: elastic, grid or optical distortion."""
    distortion: float = Field(0.12, ge=0.0, le=0.5)
    """Strongest displacement of a distortion, as part of the defect's side."""
    mild: Annotated[float, Share] = 0.5
    """Share of seen defects that keep their look: no photometric operation."""
    photometric: dict[PhotometricOperation, Annotated[float, Share]] = {
        "brightness": 0.4,
        "contrast": 0.3,
        "gamma": 0.3,
        "noise": 0.2,
        "blur": 0.1,
        "sharpen": 0.1,
        "hue": 0.2,
        "posterize": 0.05,
        "solarize": 0.03,
        "invert": 0.03,
        "equalize": 0.05,
    }
    """Probability of each photometric operation on the other seen defects."""
    match_light: Annotated[float, Share] = 0.5
    """Share of pastes whose surroundings are matched in brightness to where they are pasted."""
    hard: Annotated[float, Share] = 0.5
    """Share of hard pastes, the others are blended."""
    paste_blend: Range = (0.5, 1.0)
    """Opacity of blended pastes."""

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        for name in ("area", "perlin_octaves", "blend", "pastes", "scale", "paste_blend"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} is empty: write the smaller number first")
        if self.pastes[0] < 1 or self.scale[0] <= 0 or self.perlin_octaves[0] < 0 or self.area[1] <= 0:
            raise ValueError("pastes start at 1, scale above 0, perlin_octaves at 0, area ends above 0")
        if sum(self.kinds.values()) <= 0 or sum(self.sources.values()) <= 0:
            raise ValueError("kinds and sources need at least one weight above 0")
        return self


class ModelSettings(Section):
    """The network."""


class TrainingSettings(Section):
    """The schedule."""

    steps: int = Field(800, ge=1)
    """Optimiser steps."""


class Settings(Section):
    """Everything a run depends on besides the images."""

    preset: str = "standard"
    """Name of the preset these settings started from."""
    seed: int = Field(0, ge=0)
    """Seed of the split, the synthesis, the network's start and the order of images."""
    data: DataSettings = DataSettings()
    split: SplitSettings = SplitSettings()
    synthesis: SynthesisSettings = SynthesisSettings()
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
