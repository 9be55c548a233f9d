"""All settings in one place: the command line, settings.json and Python see the same ones.

`load("quick", {"training.steps": "100"})` gives a frozen Settings; unknown presets and keys are errors.
"""

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

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


class SynthesisSettings(Section):
    """How anomalies are made from good images (method.md, "Making anomalies")."""


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
