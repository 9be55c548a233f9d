"""All settings in one place, a line under each: the command line, settings.json and Python see the same ones.

presets.py makes them: presets first, then what the user says.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Section(BaseModel):
    """Frozen, and deaf to keys that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class DataSettings(Section):
    """How images are read."""

    root: Path | None = None
    """Folder of the images; set by the command's DATA."""
    products: tuple[Path, ...] = ()
    """Folders of several products that one network is trained for, in place of root; set by --multi."""
    add: tuple[Path, ...] = ()
    """Further folders, all of whose good images and outlined defects train: what was corrected on the line."""
    size: tuple[int, int] = (256, 256)
    """Height and width in pixels that every image is resized to."""
    keep_aspect: bool = False
    """Resize without distortion and fill the rest; the filled border counts nowhere."""
    bit_depth: Literal[8, 10, 12, 14, 16] | None = None
    """Bits that 16-bit files really use; None: found from the good images."""
    ignore: Path | None = None
    """Image whose non-zero pixels count nowhere: neither in synthesis and loss, nor in a score, metric or verdict."""
    roi: Path | None = None
    """Region of interest: image outside whose non-zero pixels nothing counts, likewise."""
    cache: Literal["user", "none"] | Path = "user"
    """Folder that keeps decoded, resized images; user: protores in this user's folder of caches, for all runs; none:
    they stay in memory."""
    cache_gb: float = Field(20.0, ge=0.0)
    """Size that the cache is kept to, GB: beyond, what was used longest ago goes, but nothing of the last day."""


class SplitSettings(Section):
    """Which image plays which role."""

    seen: Annotated[int, Field(ge=0)] | Literal["all"] | None = None
    """Defect images that training may see, spread over the kinds; they leave the test set. None: 10, or half of
    those there are where that is less; all: those of a layout whose training part has some (DAGM, KolektorSDD2)."""
    seen_kinds: tuple[str, ...] | None = None
    """Kinds the seen ones are drawn from, the others stay unseen; None: all kinds."""
    calibration: float = Field(0.1, ge=0.0, lt=1.0)
    """Share of the good training images (and of the seen, from 20 on) kept out of training for calibration."""
    test: float = Field(0.3, gt=0.0, lt=1.0)
    """Share of the good images that is tested on, where the layout has no test part of its own."""


Interval = tuple[float, float]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
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
    """How anomalies are made from good images (docs/method.md)."""

    textures: Path | None = None
    """Folder of images that fill simulated anomalies; None: drawn textures and the good images alone."""
    foreground: Literal["auto", "object", "texture"] = "auto"
    """Anomalies keep to the product on its background (object) or may lie anywhere (texture); auto: found from the
    good images."""
    kinds: dict[Literal["perlin", "scar", "cutpaste", "warp", "light"], NonNegative] = {
        "perlin": 0.6,
        "scar": 0.1,
        "cutpaste": 0.1,
        "warp": 0.1,
        "light": 0.1,
    }
    """Weights of the kinds of simulated anomalies; a kind that is not named is not drawn."""
    area: Interval = (0.0004, 0.3)
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
    perlin_spots: Fraction = 0.5
    """Share of the Perlin masks that are cut down to one to three of their spots, as real defects come."""
    blend: Interval = (0.2, 0.8)
    """Share of the good image that stays visible under a simulated anomaly."""
    self_object: Fraction = 0.5
    """Share of Perlin masks filled with the shuffled image itself, for objects."""
    self_texture: Fraction = 0.2
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
    """Largest part of the product that extended anomalies cover; larger defects are made smaller."""
    moved: Fraction = 0.5
    """Share of pastes that go anywhere on the product even where their own place would do."""
    on_product: Fraction = 2 / 3
    """Least part of a seen defect that must lie on the product, else it is moved there."""
    flip: Fraction = 0.5
    """Share of seen defects that are mirrored."""
    quarter_turn: Fraction = 0.5
    """Share of seen defects that are turned by 90, 180 or 270 degrees."""
    rotate: Fraction = 0.5
    """Share of seen defects that are turned by any angle within `rotation`."""
    rotation: float = Field(45.0, ge=0.0, le=180.0)
    """Largest such angle, degrees."""
    scale: Interval = (0.5, 1.5)
    """Range of the size factor of seen defects."""
    shift: float = Field(0.1, ge=0.0, le=1.0)
    """Largest shift from their own place, as part of the image's side."""
    distort: Fraction = 0.3
    """Share of seen defects that are bent: elastic, grid or optical distortion."""
    distortion: float = Field(0.12, ge=0.0, le=0.5)
    """Strongest displacement of a distortion, as part of the defect's side."""
    mild: Fraction = 0.5
    """Share of seen defects that keep their look: no photometric operation."""
    photometric: dict[PhotometricOperation, Fraction] = {
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
    match_light: Fraction = 0.5
    """Share of pastes whose surroundings are matched in brightness to where they are pasted."""
    hard: Fraction = 0.5
    """Share of hard pastes, the others are blended."""
    paste_blend: Interval = (0.5, 1.0)
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
    """The network (docs/method.md has each part's source)."""

    backbone: str = "resnet18"
    """Any timm network with plain stages at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input."""
    weights: str = "imagenet"
    """Its start: imagenet (timm's download), random, or a .safetensors file."""
    prototype_share: float = Field(0.1, gt=0.0, le=1.0)
    """Prototypes as a share of the normal training images."""
    prototype_cap: int = Field(64, ge=1)
    """The most prototypes; 64 are 59 MB at 256 x 256 in half precision."""
    prototype_images: int = Field(4000, ge=1)
    """The most good images that prototypes are made from; of more, so many are drawn by the seed. K-means' memory and
    time grow with their square and cube."""
    local_prototypes: int = Field(0, ge=0)
    """Prototypes of single positions per scale, which fit a product wherever and however it lies; residuals to them
    stand beside those to whole maps. 0: none."""
    match_cells: Literal[1, 2] = 1
    """The nearest prototype is found on whole maps (1), or on their averages over 2 x 2 cells: a quarter of the work
    and memory for nearly the same choice."""
    leave_one_out: bool = True
    """In training, take an image's own share out of its prototype, as it will be for images never seen."""
    residual: Literal["log", "squared", "none"] = "log"
    """Squared differences as they are, or log(1 + difference / its mean over normal images); none: the features
    themselves in their place, for a network of the same size without prototypes."""
    widths: tuple[int, int, int] | None = (32, 64, 64)
    """Channels per scale that 1x1 convolutions reduce features and residuals to; None: not reduced."""
    fusion: Literal["exchange", "separate"] = "exchange"
    """Every scale gets the sum of all scales, or each a convolution of its own and nothing of the others."""
    attention_blocks: tuple[int, int, int] = (0, 1, 1)
    """Multi-size attention blocks in a row, fine to coarse."""
    token_grids: tuple[Annotated[int, Field(ge=1)], ...] = Field((4, 8), min_length=1)
    """Patches per side in each head of the attention; 1 is a head without attention."""
    feed_forward: float = Field(1.0, ge=0.0)
    """Hidden channels behind attention as a multiple of its own; 0: no feed-forward."""
    bottom: Literal["conv", "layer4", "layer4_frozen"] = "conv"
    """What feeds the decoder's deepest level: a convolution of the coarsest map, or the backbone's layer 4, trained or
    as it is."""
    decoder_widths: tuple[int, int, int] = (32, 64, 64)
    """Channels of the decoder's stages, fine to coarse."""
    detail: int = Field(16, ge=0)
    """Channels of a last decoder stage at 1/2 that sees the backbone's stem, for sharp outlines; 0: none."""
    output_stride: Literal[1, 2, 4] = 2
    """The decoder's last convolution runs at this fraction of the input and the map is enlarged from there."""
    context: float = Field(0.2, ge=0.0, lt=1.0)
    """Share of each pixel's surroundings, 40 x 40, in the anomaly map; 0: the decoder's map as it is."""
    score_top: float = Field(100 / 65536, gt=0.0, le=1.0)
    """The image score is the mean of this share of the highest pixels."""

    @model_validator(mode="after")
    def _consistent(self) -> "ModelSettings":
        if self.detail and self.output_stride == 4:
            raise ValueError("model.detail works at 1/2; set model.output_stride to 2 or 1, or model.detail to 0")
        heads = len(self.token_grids)
        if self.widths and any(2 * w % heads for w in self.widths):
            raise ValueError(
                f"twice each of model.widths must be a multiple of the {heads} heads of model.token_grids"
            )
        return self


class TrainingSettings(Section):
    """Schedule, batches and how the machine is used."""

    warm_start: Path | None = None
    """Finished run whose network, settings and roles the training starts from; None: a new network."""
    warm_share: Fraction = 0.5
    """Share of the weights that come out of such a training in the model, the rest are those that it started from."""
    devices: int = Field(1, ge=1)
    """Processes that train together on each node, a GPU each, or on CPUs a share of the cores."""
    nodes: int = Field(1, ge=1)
    """Machines that they run on, started by torchrun, SLURM or the like."""
    steps: int = Field(2000, ge=1)
    """Optimiser steps."""
    minutes: float | None = Field(None, gt=0.0)
    """Time for the whole run, evaluation included; the schedule shrinks to end in it."""
    batch_size: int = Field(16, ge=2)
    """Images per step."""
    normal_share: float = Field(0.5, gt=0.0, lt=1.0)
    """Share of a batch that is good images."""
    seen_share: float = Field(0.25, ge=0.0, lt=1.0)
    """Share of a batch that is seen defects and extensions of them; the rest is simulated."""
    seen_as_is: Fraction = 0.2
    """Share of those that are a seen defect image itself."""
    dice: float = Field(1.0, ge=0.0)
    """Weight of the Dice term beside smooth-L1 and focal; 0: the paper's loss."""
    optimizer: Literal["adamw", "adam"] = "adamw"
    """AdamW decouples the weight decay, Adam adds it to the gradient."""
    learning_rate: float = Field(1e-3, gt=0.0)
    """Its peak; a cosine takes it down to a hundredth."""
    warmup: float = Field(0.05, gt=0.0, lt=1.0)
    """Share of the training in which it rises."""
    second_moment: float = Field(0.95, ge=0.0, lt=1.0)
    """Adam's decay of squared gradients (beta2); they shrink a hundredfold while focal loss settles."""
    weight_decay: float = Field(1e-2, ge=0.0)
    """Of convolutions; norms and biases have none."""
    clip: float = Field(1.0, gt=0.0)
    """Largest norm of the gradient."""
    average: float = Field(0.99, ge=0.0, lt=1.0)
    """Decay of the averaged weights, which are the ones that are reported."""
    precision: Literal["auto", "bf16", "f32"] = "auto"
    """bf16 under autocast, where the processor gains by it."""
    compile: bool = False
    """Compile the network with torch.compile (needs a C++ compiler on a CPU)."""
    deterministic: bool = True
    """The same bits from the same seed on the same machine."""
    threads: int | None = Field(None, ge=1)
    """CPU threads of torch; None: the cores there are."""
    workers: int | None = Field(None, ge=0)
    """Processes that make batches ahead; None: 0 on up to 2 cores, else up to 8."""
    validate_every: int = Field(200, ge=1)
    """Steps between looks at the calibration part."""


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

    @model_validator(mode="after")
    def _one_product_for_local_prototypes(self) -> Self:
        if self.model.local_prototypes and self.data.products:
            raise ValueError("model.local_prototypes are for one product; leave out --multi, or set them to 0")
        return self

    @property
    def products(self) -> tuple[str, ...]:
        """Names of the products, one or more: those of their folders."""
        return tuple(root.name for root in self.data.products or (self.data.root or Path(),))
