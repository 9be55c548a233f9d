"""The Prototypical Residual Network, as figure 3 of the paper draws it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from protores.errors import SizeError
from protores.model.attention import Attention
from protores.model.backbone import BOTTOM_STRIDE, STRIDES, Backbone, Frozen
from protores.model.context import with_context
from protores.model.decoder import Decoder
from protores.model.fusion import Fusion, Reduction, Separate, conv_norm
from protores.model.local import LocalPrototypes
from protores.model.products import ProductResiduals
from protores.model.prototypes import Prototypes
from protores.model.residuals import Residuals
from protores.settings import ModelSettings


class PRN(nn.Module):
    """Image in, anomaly logits or map out. The parts are named after their files."""

    def __init__(
        self,
        backbone: Backbone,
        bottom: nn.Module,
        residuals: Residuals | ProductResiduals,
        feature_reduction: nn.Module,
        residual_reduction: nn.Module,
        feature_fusion: nn.Module,
        residual_fusion: nn.Module,
        attention: nn.Module,
        fusion: nn.Module,
        decoder: Decoder,
        context: float,
    ):
        super().__init__()
        self.backbone = backbone
        self.bottom = bottom
        self.residuals = residuals
        self.feature_reduction = feature_reduction
        self.residual_reduction = residual_reduction
        self.feature_fusion = feature_fusion
        self.residual_fusion = residual_fusion
        self.attention = attention
        self.fusion = fusion
        self.decoder = decoder
        self.context = context

    def forward(self, image: Tensor) -> Tensor:
        """image: B x 3 x H x W in [0, 1], RGB, H and W multiples of 32. Returns logits, B x H x W, float32.

        Raises SizeError for any other H or W.
        """
        size = check_size(image.shape[-2:])
        stem = self.backbone.stem(image)
        return self.head(stem, self.backbone.body(stem), size)

    def anomaly_map(self, image: Tensor) -> Tensor:
        """image: as in forward. Returns what the product works with: B x H x W in [0, 1], float32."""
        return with_context(torch.sigmoid(self(image)), self.context)

    def distances(self, image: Tensor) -> Tensor:
        """image: as in forward. Returns how far it lies from each product, B x P, which ProductResiduals defines."""
        return self.residuals.distances(self.backbone(image))

    def head(
        self, stem: Tensor, features: list[Tensor], size: tuple[int, int], source: Tensor | None = None
    ) -> Tensor:
        """Everything behind the frozen backbone, from its stem and its three maps to logits, B x H x W, size = (H, W).

        source: in training, which of the images behind the prototypes each one is made from (see Prototypes).
        """
        return self.decode(stem, features, self.residuals(features, source), size)

    def decode(self, stem: Tensor, features: list[Tensor], residuals: list[Tensor], size: tuple[int, int]) -> Tensor:
        """From the backbone's maps and their residuals to logits, B x H x W."""
        bottom = self.bottom(features[-1])
        features = self.feature_fusion(self.feature_reduction(features))
        residuals = self.residual_fusion(self.residual_reduction(residuals))
        joined = [torch.cat(pair, dim=1) for pair in zip(features, residuals, strict=True)]
        fused = self.fusion(self.attention(joined))
        return self.decoder(fused, bottom, stem, size)


def check_size(size: tuple[int, ...]) -> tuple[int, int]:
    """The size as it is. Raises SizeError, naming the nearest legal one, unless both sides are multiples of 32."""
    if any(side % BOTTOM_STRIDE or side <= 0 for side in size):
        legal = [max(1, round(side / BOTTOM_STRIDE)) * BOTTOM_STRIDE for side in size]
        raise SizeError(
            f"input size {size[0]}x{size[1]} must be a multiple of {BOTTOM_STRIDE}; "
            f"the nearest is {legal[0]}x{legal[1]}"
        )
    return size[0], size[1]


def build_network(
    settings: ModelSettings,
    size: tuple[int, int],
    images: int | Sequence[int],
    prototypes: int | Sequence[int],
    weights: str | None = None,
) -> PRN:
    """The network of these settings, with empty prototypes.

    size: input height and width. images: normal images behind the prototypes; prototypes: their number K; where there
    are several products, both of each of them. weights: overrides settings.weights ("random" to be filled by
    load_state_dict).
    """
    check_size(size)
    backbone, layer4 = Backbone.load(
        settings.backbone, weights or settings.weights, bottom=settings.bottom != "conv"
    )
    if layer4 and settings.bottom == "layer4_frozen":
        layer4 = Frozen(*layer4)
    channels = backbone.channels
    shapes = [(c, size[0] // s, size[1] // s) for c, s in zip(channels, STRIDES, strict=True)]
    widths = settings.widths or channels
    joined = tuple(2 * w for w in widths)

    exchange = Fusion if settings.fusion == "exchange" else Separate

    residuals = _residuals(settings, shapes, images, prototypes)

    def reduction(inputs: tuple[int, ...]) -> nn.Module:
        return Reduction(inputs, widths) if settings.widths or inputs != widths else nn.Identity()

    bottom_width = layer4[-1][-1].conv2.out_channels if layer4 else settings.decoder_widths[-1]
    return PRN(
        backbone=backbone,
        bottom=layer4 or nn.Sequential(conv_norm(channels[-1], bottom_width, kernel=3, stride=2), nn.ReLU()),
        residuals=residuals,
        feature_reduction=reduction(channels),
        residual_reduction=reduction(tuple(residuals.sets * c for c in channels)),
        feature_fusion=exchange(widths),
        residual_fusion=exchange(widths),
        attention=Attention(joined, settings.attention_blocks, settings.token_grids, settings.feed_forward),
        fusion=exchange(joined),
        decoder=Decoder(
            channels=joined,
            bottom=bottom_width,
            stages=settings.decoder_widths,
            stem=backbone.stem_channels,
            detail=settings.detail,
            stride=settings.output_stride,
        ),
        context=settings.context,
    )


def _residuals(
    settings: ModelSettings,
    shapes: Sequence[tuple[int, int, int]],
    images: int | Sequence[int],
    prototypes: int | Sequence[int],
) -> Residuals | ProductResiduals:
    local = None
    if settings.local_prototypes and settings.residual != "none":
        local = LocalPrototypes([c for c, _, _ in shapes], settings.local_prototypes)
    if isinstance(images, int) and isinstance(prototypes, int):
        return Residuals(Prototypes(shapes, prototypes, images, settings.match_cells), settings.residual, local)
    products = zip(images, prototypes, strict=True)
    return ProductResiduals([_residuals(settings, shapes, n, k) for n, k in products])
