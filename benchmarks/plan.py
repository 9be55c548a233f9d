"""A plan: which trainings a table is made of. A TOML file in benchmarks/plans/ expands to rows; a row is one training.

    title, data       data: data set = [categories], folders below --data; [] where the set is one product
    seen, seeds, presets                                  lists; rows are all combinations
    overrides         settings of every row, by section
    looks             how often a training's test images are looked at for `best_on_test`; 0: never
    [variants.NAME]   says: what it is; only: products it is for; seen, presets, seen_kinds, masks (wrong_masks.py) and
                      overrides in place of the plan's or beside them
    published         the parts of published.toml that stand beside the table
    [reduced]         what changes at the size for CPUs, laid over all of the above
"""

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product as combinations
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from protores import presets
from protores.bundle.contract import sha256_of
from protores.errors import SettingsError
from protores.settings import Settings

Size = Literal["full", "reduced"]
Seen = int | Literal["all"]
Change = Literal["exact", "dilated", "shifted", "boxes", "half_missing"]
SIZES: tuple[str, ...] = get_args(Size)
LEAST_BETWEEN_LOOKS = 10
"""Steps: the history has a row as often."""


class Part(BaseModel):
    """Frozen, and deaf to keys that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Variant(Part):
    """A named column of an ablation; None: as in the plan."""

    says: str = ""
    only: tuple[str, ...] | None = None
    seen: tuple[Seen, ...] | None = None
    presets: tuple[str, ...] | None = None
    seen_kinds: tuple[str, ...] | None = None
    masks: Change | None = None
    overrides: dict[str, dict[str, Any]] = {}


class Plan(Part):
    """As the file has it; see the top of this module."""

    name: str
    size: Size
    title: str
    data: dict[str, tuple[str, ...]]
    seen: tuple[Seen, ...] = (10,)
    seeds: tuple[int, ...] = Field((0, 1, 2), min_length=1)
    presets: tuple[str, ...] = ("standard",)
    looks: int = Field(10, ge=0)
    overrides: dict[str, dict[str, Any]] = {}
    variants: dict[str, Variant] = {}
    published: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path, size: Size = "full") -> "Plan":
        """Raises SettingsError, one line, where the file is no plan."""
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
            reduced = content.pop("reduced", {})
            if size == "reduced":
                content = _merged(content, reduced)
            plan = cls.model_validate(content | {"name": path.stem, "size": size})
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(f"{path} cannot be read as TOML ({error}); pass a plan of benchmarks/plans") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise SettingsError(f"{path}: {where}: {first['msg']}; see the top of benchmarks/plan.py") from error
        products = {product for variant in plan.variants.values() for product in variant.only or ()}
        if unknown := products - set(plan.products):
            raise SettingsError(f"{path}: no such product: {', '.join(sorted(unknown))}; name one of the plan's data")
        return plan

    @property
    def products(self) -> tuple[str, ...]:
        """Folders below the root of all data."""
        return tuple(f"{name}/{own}".rstrip("/") for name, found in self.data.items() for own in found or ("",))

    def rows(self) -> list["Row"]:
        """All trainings, seed by seed, so that a table is there early and gets its spread later."""
        return list(self._rows())

    def _rows(self) -> Iterator["Row"]:
        for seed, product in combinations(self.seeds, self.products):
            variants = {
                name: variant
                for name, variant in (self.variants or {"": Variant()}).items()
                if variant.only is None or product in variant.only
            }
            pairs = tuple(v.seen_kinds for v in variants.values() if v.seen_kinds is not None)
            for name, variant in variants.items():
                for preset, seen in combinations(variant.presets or self.presets, variant.seen or self.seen):
                    overrides = _flat(self.overrides) | _flat(variant.overrides)
                    yield Row(
                        product=product,
                        variant=name,
                        preset=preset,
                        seen=seen,
                        seed=seed,
                        masks=variant.masks,
                        looks=self.looks,
                        apart=tuple(dict.fromkeys(pairs)),
                        overrides=overrides
                        | {"seed": seed, "split.seen": seen}
                        | ({} if variant.seen_kinds is None else {"split.seen_kinds": variant.seen_kinds}),
                    )


@dataclass(frozen=True)
class Row:
    """One training. product: folder below the root of all data; apart: sets of kinds whose defects, and all others, are
    also judged by themselves; overrides: dotted keys of settings, on top of the preset.
    """

    product: str
    variant: str
    preset: str
    seen: Seen
    seed: int
    masks: str | None
    looks: int
    apart: tuple[tuple[str, ...], ...]
    overrides: Mapping[str, Any]

    @property
    def name(self) -> str:
        parts = (self.product, self.variant, self.preset, f"seen{self.seen}", f"seed{self.seed}")
        return "/".join(filter(None, parts))

    def placed(self, weights: str, textures: Path | None) -> dict[str, Any]:
        """The overrides for this machine: backbone's weights, textures, and the steps between looks at the test."""
        given = {"model.weights": weights, "synthesis.textures": textures and str(textures), **self.overrides}
        if not self.looks:
            return given
        steps = presets.load(self.preset, given).training.steps
        between = max(LEAST_BETWEEN_LOOKS, steps // self.looks // LEAST_BETWEEN_LOOKS * LEAST_BETWEEN_LOOKS)
        return {"training.validate_every": between, **given}

    def key(self, weights: str, textures: Path | None) -> str:
        """A hash of all that the training depends on but its code and images: of every setting, wherever it comes from.

        Weights count by content and textures by the name of their folder, so that it is the same on another machine.
        """
        settings = self.settings(weights, textures).model_dump(mode="json")
        if Path(weights).is_file():
            settings["model"]["weights"] = sha256_of(Path(weights))
        if textures is not None:
            settings["synthesis"]["textures"] = textures.resolve().name
        content = [self.product, self.masks, self.looks, self.apart, settings]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def settings(self, weights: str = "random", textures: Path | None = None) -> Settings:
        return presets.load(self.preset, self.placed(weights, textures))


def _flat(sections: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {f"{section}.{name}": value for section, found in sections.items() for name, value in found.items()}


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Tables within tables are laid over each other, anything else is replaced."""
    both = dict(base)
    for key, value in over.items():
        own = both.get(key)
        both[key] = _merged(own, value) if isinstance(own, dict) and isinstance(value, dict) else value
    return both
