"""contract.json: everything that a program needs to know about a bundle besides its network (docs/bundle.md).

A bundle is a folder: the model file(s), contract.json, golden samples, and an ignore or region-of-interest image
where there is one. The contract may be edited by hand: it is checked in full whenever it is read or written.
No torch here: the runtime, the decision and the report read bundles through this file.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from protores.errors import BundleError
from protores.files import write_json

NAME = "contract.json"
FORMAT, VERSION, SEVERAL = "protores-bundle", 1, 2
"""SEVERAL: the version of a bundle with several products."""
SCORE_RULE = "mean of the highest share of pixels"
RESIZE_RULE = "area where an axis shrinks, bilinear where it grows"


def _no_device(name: str) -> str:
    """Windows opens a device for such a name, whatever its ending and folder."""
    if re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", name.rpartition("/")[2], re.IGNORECASE):
        raise ValueError(f"{name} is a device on Windows; give the file another name")
    return name


_WORD = r"[A-Za-z0-9_-]+(\.+[A-Za-z0-9_-]+)*"
FileName = Annotated[str, Field(pattern=f"^{_WORD}$", max_length=100), AfterValidator(_no_device)]
GoldenName = Annotated[str, Field(pattern=f"^golden/{_WORD}$", max_length=100), AfterValidator(_no_device)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Unit = Annotated[float, Field(ge=0.0, le=1.0)]
Size = tuple[Annotated[int, Field(ge=1, le=65536)], Annotated[int, Field(ge=1, le=65536)]]


class Part(BaseModel):
    """Frozen, and deaf to keys that it does not know; a number is a number and no text that looks like one."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


def _is_none(value: object) -> bool:
    return value is None


class Figure(Part):
    """A figure of the run's calibration part before and after quantisation; None where it is undefined."""

    f32: Unit | None
    int8: Unit | None


class Quantization(Part):
    """What INT8 costs, measured on the run's calibration part."""

    calibrated_on: int = Field(ge=1)
    """Good images that the ranges of the activations come from."""
    judged_on: int = Field(ge=0)
    """Images behind the two figures; 0: the run has no calibration part."""
    image_auroc: Figure
    pixel_ap: Figure
    forced: bool
    """It was exported although it costs more than is allowed, or the cost could not be measured."""

    def lines(self) -> Iterator[str]:
        """For a person: both figures, in percent."""
        for name, figure in (("image AUROC", self.image_auroc), ("pixel AP", self.pixel_ap)):
            if figure.f32 is not None and figure.int8 is not None:
                yield f"{name:<12} {100 * figure.int8:.2f} in int8, {100 * figure.f32:.2f} in f32, calibration part"


class Model(Part):
    """The network's file and its one input and output."""

    file: FileName
    format: Literal["onnx", "openvino"]
    precision: Literal["f32", "bf16", "int8"]
    """What the runtime has to compute in; bf16 is a hint to OpenVINO, its file holds f32 weights."""
    opset: int = Field(ge=1)
    """Of the ONNX graph, which the OpenVINO model was converted from."""
    input: str = Field(default="image", min_length=1)
    output: str = Field(default="anomaly_map", min_length=1)
    backbone: str
    prototypes: int = Field(ge=1)
    distances: str | None = Field(default=None, min_length=1, exclude_if=_is_none)
    """Name of a second output where there are several products: how far the image lies from each."""
    quantization: Quantization | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The model's file, and for OpenVINO that of its weights beside it."""
        return (self.file,) if self.format == "onnx" else (self.file, self.file.removesuffix(".xml") + ".bin")

    @model_validator(mode="after")
    def _ending(self) -> Self:
        ending = {"onnx": ".onnx", "openvino": ".xml"}[self.format]
        if not self.file.endswith(ending):
            raise ValueError(f"file of the format {self.format} ends with {ending}")
        return self


class Image(Part):
    """How an image becomes the network's input."""

    size: Size
    """Height and width in pixels."""
    colour: Literal["RGB"] = "RGB"
    bit_depth: Literal[8, 10, 12, 14, 16]
    """Bits that 16-bit images really use: value v becomes round(255 v / (2^bit_depth - 1)), at most 255."""
    scale: float = Field(default=1 / 255, gt=0.0)
    """Factor from 8-bit values to the network's; mean and deviation are subtracted inside the network."""
    layout: Literal["NCHW"] = "NCHW"
    dtype: Literal["float32"] = "float32"
    keep_aspect: bool
    """Resized without distortion; the rest is filled by repeating the border and does not count."""
    resize: Literal["area where an axis shrinks, bilinear where it grows"] = RESIZE_RULE


class Map(Part):
    """The network's output."""

    size: Size
    range: tuple[float, float] = (0.0, 1.0)


class Score(Part):
    """How an image's score comes from its map."""

    rule: Literal["mean of the highest share of pixels"] = SCORE_RULE
    top: float = Field(gt=0.0, le=1.0)
    """That share; of H x W pixels the max(1, round(top H W)) highest count."""


class Decision(Part):
    """What is made of map and score. All of it may be changed at any time: nothing of it is in the network."""

    map_threshold: Unit | None = None
    """Map values from here up outline regions; None: no regions."""
    good_below: Unit | None = None
    """Scores below are good."""
    bad_above: Unit | None = None
    """Scores above are bad; between the two a person looks again. Both None: there is no verdict."""
    min_area: float = Field(default=0.0, ge=0.0)
    """Area of the smallest region that counts, in `unit`, at the size of the original image."""
    unit: Literal["px", "mm2"] = "px"
    mm_per_px: float | None = Field(default=None, gt=0.0)
    """Side of a pixel of the original image."""
    ignore: FileName | None = None
    """Image whose non-zero pixels do not count, stretched over any image."""
    roi: FileName | None = None
    """Image whose non-zero pixels alone count, stretched likewise."""
    calibration: dict[str, JsonValue] | None = None
    """How the thresholds came about, as `protores calibrate` wrote it."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.good_below is None) != (self.bad_above is None):
            raise ValueError("only one of good_below and bad_above is set; set both, or both to null")
        if self.good_below is not None and self.bad_above is not None and self.good_below > self.bad_above:
            raise ValueError("good_below lies above bad_above; write the smaller threshold as good_below")
        if self.unit == "mm2" and self.mm_per_px is None:
            raise ValueError("unit is mm2 without a scale; set mm_per_px, or unit to px")
        return self


class Sample(Part):
    """One golden sample: an image at the network's size, and what the training code made of it."""

    image: GoldenName
    map: GoldenName
    """NumPy file, float32, H x W."""
    score: Unit
    """By the score rule over the whole map, whatever the decision ignores."""
    kind: str
    """good, a kind of defect, or simulated."""
    product: str | None = Field(default=None, exclude_if=_is_none)
    """Which of several it shows."""


class Golden(Part):
    """The golden samples, and how far another runtime's map may be from theirs."""

    bound: float = Field(gt=0.0, le=1.0)
    """Largest absolute difference of a map value that passes."""
    samples: tuple[Sample, ...] = Field(min_length=1)


class RunOrigin(Part):
    """The run that was exported."""

    seed: int
    split: str
    """Hash of its split."""
    preset: str


class WeightsOrigin(Part):
    """Where the backbone's weights came from."""

    source: str
    """imagenet (and timm's tag), random, or the file's name."""
    sha256: Sha256 | None
    """Of the file."""
    licence: str


class Origin(Part):
    """Who made this."""

    versions: dict[str, str]
    """Of protores, torch, and the libraries that exported."""
    run: RunOrigin
    weights: WeightsOrigin


class Product(Part):
    """One of several products that the network knows; its place is that of its number in the output `distances`."""

    name: str = Field(min_length=1)
    kinds: tuple[str, ...]
    seen_kinds: tuple[str, ...]
    decision: Decision = Decision()
    """As the contract's own is for a single product."""


class Contract(Part):
    """The whole contract.json."""

    format: Literal["protores-bundle"] = FORMAT
    version: Literal[1, 2] = VERSION
    product: str
    products: tuple[Product, ...] | None = Field(default=None, min_length=2, exclude_if=_is_none)
    """In version 2: the products, each with what it is decided by; `decision` is empty then."""
    kinds: tuple[str, ...]
    """All kinds of defects of the product's images."""
    seen_kinds: tuple[str, ...]
    """Those that trained the network."""
    model: Model
    image: Image
    map: Map
    score: Score
    decision: Decision = Decision()
    images: FileName | None = None
    """File that says what the run's images were to it, by hashes (protores.data.uses); None: not known."""
    golden: Golden
    files: dict[FileName | GoldenName, Sha256]
    """SHA-256 of every file of the bundle but contract.json."""
    origin: Origin

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.map.size != self.image.size:
            raise ValueError("map.size differs from image.size; they are the same")
        if len({self.version == SEVERAL, self.products is not None, self.model.distances is not None}) > 1:
            raise ValueError("version 2 alone has products and model.distances; it has both")
        if self.products is not None:
            names = [product.name for product in self.products]
            if len(set(names)) < len(names):
                raise ValueError("two products have one name; rename one")
            if self.decision != Decision():
                raise ValueError("decision is set beside products; set that of each product instead")
            if any(sample.product not in names for sample in self.golden.samples):
                raise ValueError("a golden sample is of no product; name one of products")
        return self

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """The one of its product, or those of its products."""
        return (self.decision,) if self.products is None else tuple(product.decision for product in self.products)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The contract of a bundle. Raises BundleError where it, or any file it names, is not as it should be."""
        contract = cls._parse(folder)
        contract.check_files(folder)
        return contract

    def write(self, folder: Path) -> None:
        """Writes contract.json, whole, after the same checks. Raises BundleError, and OSError from the disk."""
        checked = type(self)._validate(json.loads(self.model_dump_json()), folder / NAME)
        checked.check_files(folder)
        write_json(folder / NAME, checked.model_dump(mode="json"))

    def with_files(self, folder: Path, *names: str) -> Self:
        """A copy whose `files` has these files' hashes anew and none of a file that nothing refers to."""
        hashes = self.files | {name: sha256_of(folder / name) for name in names}
        return self.model_copy(update={"files": {n: h for n, h in sorted(hashes.items()) if n in set(self.named())}})

    def named(self) -> Iterator[str]:
        """Every file that the contract refers to."""
        yield from self.model.files
        masks = (name for decision in self.decisions for name in (decision.ignore, decision.roi))
        yield from (name for name in (*masks, self.images) if name is not None)
        for sample in self.golden.samples:
            yield from (sample.image, sample.map)

    def check_files(self, folder: Path) -> None:
        """Raises BundleError for a file that is missing, lies outside the folder, is not listed, or was changed."""
        home = folder.resolve()
        for name in dict.fromkeys((*self.named(), *self.files)):
            path = folder / name
            if not path.resolve().is_relative_to(home):
                raise BundleError(f"{path} leads out of the bundle; put the file itself in its place")
            if not path.is_file():
                raise BundleError(f"{path} is missing; copy the bundle again, or export it anew")
            found = sha256_of(path)
            if name not in self.files:
                raise BundleError(f'{folder / NAME}: files lacks {name}; add "{name}": "{found}" if it is yours')
            if found != self.files[name]:
                raise BundleError(f"{path} was changed: its SHA-256 is not the contract's; copy the bundle again")

    @classmethod
    def _parse(cls, folder: Path) -> Self:
        path = folder / NAME
        try:
            data = path.read_bytes()
        except OSError as error:
            raise BundleError(f"{folder} is no bundle ({NAME} is missing); pass a folder that export wrote") from error
        return cls.from_json(data, path)

    @classmethod
    def from_json(cls, data: bytes, path: Path) -> Self:
        """The contract in a file's bytes, without a look at the other files. Raises BundleError, which names path."""
        try:
            values = json.loads(data, parse_constant=_finite, parse_float=_finite)
        except (ValueError, RecursionError) as error:
            raise BundleError(f"{path} is not JSON ({error}); correct it, or export the bundle anew") from error
        return cls._validate(values, path)

    @classmethod
    def _validate(cls, values: Any, path: Path) -> Self:
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise BundleError(f'{path}: format is not "{FORMAT}"; pass a folder that protores export wrote')
        if values.get("version") not in (VERSION, SEVERAL):
            raise BundleError(f"{path}: version is not {VERSION} or {SEVERAL}; export the run anew, or update protores")
        try:
            return cls.model_validate_json(json.dumps(values))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = " ".join(".".join(str(part) for part in first["loc"]).split())
            why = first["msg"].removeprefix("Value error, ")
            given = "" if first["type"] in ("missing", "value_error") else f"; it was {str(first['input'])[:60]!r}"
            raise BundleError(f"{path}: {where or 'contract'}: {why}{given}; correct it there") from error


def _finite(text: str) -> float:
    """Python reads NaN, Infinity and 1e999, which no other reader of JSON has to."""
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is no number in JSON")
    return value


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in lower-case hexadecimal digits. Raises BundleError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}); check the path and its rights") from error
