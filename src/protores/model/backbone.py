"""Features of a pre-trained network, frozen: the encoder of figure 3.

Three scales (1/4, 1/8 and 1/16 of the input) feed prototypes and fusion; the stem (1/2) may feed the decoder's last
stage; a fourth stage, if asked for, is trained and feeds its deepest level (the figure paints it like the decoder).
"""

import logging
from pathlib import Path

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models import FeatureListNet
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from protores.errors import SettingsError, WeightsError

log = logging.getLogger(__name__)

STEM_STRIDE = 2
STRIDES = (4, 8, 16)
BOTTOM_STRIDE = 32
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Backbone(nn.Module):
    """A timm network up to its 1/16 stage; frozen, and in eval mode whatever `train()` is told.

    Batch norm is folded into the convolutions, so there is no statistic that could drift from the one the
    prototypes were made with. `Backbone.load` makes one.
    """

    def __init__(self, stages: nn.ModuleDict, taps: tuple[str, ...], channels: tuple[int, ...]):
        """stages: in their order. taps, channels: name and width of the stages at 1/2, 1/4, 1/8 and 1/16."""
        super().__init__()
        self.stages, self.taps = stages, taps[1:]
        self.stem_channels, self.channels = channels[0], channels[1:]
        names = list(stages)
        self.stem_stages = names[: names.index(taps[0]) + 1]
        self.body_stages = names[len(self.stem_stages) :]
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)
        self.eval().requires_grad_(False)
        _fold_checked(self.stages)

    @classmethod
    def load(cls, name: str = "resnet18", weights: str = "random", bottom: bool = False):
        """The backbone and, if `bottom`, the network's own next stage (1/32), which is trained; else None.

        name: any timm model with `features_only` whose stages are plain modules (the ResNets, for example).
        weights: "random", "imagenet" (timm's own download), or a .safetensors file under timm's key names.
        Raises SettingsError for a network that cannot be cut, WeightsError for weights that do not fit.
        """
        net = _create(name, pretrained=weights == "imagenet")
        info = {i["reduction"]: i for i in net.feature_info.info}
        taps = tuple(info[s]["module"] for s in (STEM_STRIDE, *STRIDES))
        names = list(net.keys())
        last = names[names.index(taps[-1]) + 1 :]
        if weights not in ("random", "imagenet"):
            load_weights(net, Path(weights), unused=() if bottom else tuple(last))
        stages = nn.ModuleDict({n: net[n] for n in names if n not in last})
        backbone = cls(stages, taps, tuple(info[s]["num_chs"] for s in (STEM_STRIDE, *STRIDES)))
        return backbone, nn.Sequential(*(net[n] for n in last)) if bottom else None

    def forward(self, image: Tensor) -> list[Tensor]:
        """image: B x 3 x H x W in [0, 1], RGB. Returns the maps at 1/4, 1/8 and 1/16, B x C x h x w each."""
        return self.body(self.stem(image))

    @torch.no_grad()
    def stem(self, image: Tensor) -> Tensor:
        """image: as in forward. Returns the map at 1/2."""
        x = (image - self.mean) / self.std
        for name in self.stem_stages:
            x = self.stages[name](x)
        return x

    @torch.no_grad()
    def body(self, stem: Tensor) -> list[Tensor]:
        """From the map at 1/2 to the three behind it."""
        features = []
        x = stem
        for name in self.body_stages:
            x = self.stages[name](x)
            if name in self.taps:
                features.append(x)
        return features

    def train(self, mode: bool = True) -> "Backbone":
        return super().train(False)


class Frozen(nn.Sequential):
    """Stages that do not train: no gradient, and eval mode whatever `train()` is told."""

    def __init__(self, *stages: nn.Module):
        super().__init__(*stages)
        self.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> "Frozen":
        return super().train(False)


def _create(name: str, pretrained: bool) -> FeatureListNet:
    try:
        net = timm.create_model(name, features_only=True, pretrained=pretrained)
    except RuntimeError as error:
        if pretrained:
            raise WeightsError(_no_download(name)) from error
        close = timm.list_models(f"*{name.split('.')[0]}*")[:5]
        raise SettingsError(
            f"backbone {name!r} is unknown to timm; did you mean {', '.join(close) or 'resnet18'}?"
        ) from error
    except Exception as error:  # timm's downloader raises whatever its transport does
        if pretrained:
            raise WeightsError(_no_download(name)) from error
        raise
    reductions = net.feature_info.reduction()
    if not isinstance(net, FeatureListNet) or not set(reductions) >= {STEM_STRIDE, *STRIDES, BOTTOM_STRIDE}:
        raise SettingsError(
            f"backbone {name!r} has no plain stages at 1/2, 1/4, 1/8, 1/16 and 1/32; use resnet18 or another ResNet"
        )
    return net


def _no_download(name: str) -> str:
    return f"the ImageNet weights of {name} could not be downloaded; pass --weights FILE or --weights random"


def load_weights(net: nn.Module, path: Path, unused: tuple[str, ...] = ()) -> None:
    """Fills `net` from a .safetensors file; parts missing there start at random and are named in a log line.

    unused: top-level parts that nobody misses.
    Raises WeightsError for a file that is absent, unreadable, or of another architecture.
    """
    if not path.is_file():
        raise WeightsError(f"no weights file {path}; pass an existing .safetensors file, or --weights random")
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path} is not a safetensors file; convert the weights with safetensors.torch.save_file"
        ) from error
    own = net.state_dict()
    shared = [k for k in own if k in state]
    wrong = [k for k in shared if own[k].shape != state[k].shape]
    if wrong or not shared:
        why = (
            f"{wrong[0]} is {tuple(state[wrong[0]].shape)}, not {tuple(own[wrong[0]].shape)}"
            if wrong
            else "no key fits"
        )
        raise WeightsError(
            f"{path} belongs to another architecture ({why}); pass weights of the backbone in model.backbone"
        )
    net.load_state_dict({k: state[k] for k in shared}, strict=False)
    missing = {
        k.split(".")[0] for k in own if k not in state and not k.endswith("num_batches_tracked")
    } - set(unused)
    if missing:
        log.warning("%s has no %s: started at random", path.name, ", ".join(sorted(missing)))


def _fold_checked(module: nn.Module) -> None:
    """Folds every batch norm that directly follows a convolution into it; refuses to change the output."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        probe = torch.randn(1, 3, 64, 64)
    before = _run(module, probe)
    fold_batch_norm(module)
    after = _run(module, probe)
    if not torch.allclose(before, after, rtol=1e-3, atol=1e-3 * float(before.abs().max())):
        raise SettingsError("this backbone's batch norm cannot be folded; use resnet18 or another ResNet")


@torch.no_grad()
def _run(modules: nn.Module, x: Tensor) -> Tensor:
    for module in modules.children():
        x = module(x)
    return x


def fold_batch_norm(module: nn.Module) -> None:
    """The same without a check, in place: for modules in eval mode that run their children in order."""
    children = list(module.named_children())
    for (name, child), (next_name, follower) in zip(children, children[1:], strict=False):
        if isinstance(child, nn.Conv2d) and type(follower) is nn.BatchNorm2d:
            setattr_in(module, name, fuse_conv_bn_eval(child, follower))
            setattr_in(module, next_name, nn.Identity())
    for _, child in module.named_children():
        fold_batch_norm(child)


def setattr_in(module: nn.Module, name: str, child: nn.Module) -> None:
    """Replaces a child, in plain modules as in ModuleDict and Sequential."""
    module._modules[name] = child
