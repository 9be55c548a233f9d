"""The whole network: shapes, sizes, gradients where they belong, and what the ablations switch."""

import pytest
import torch

from protores.errors import SizeError
from protores.model.network import build_network
from protores.presets import load


def network(preset: str = "standard", size: tuple[int, int] = (64, 64), **model):
    settings = load(preset, {"model.weights": "random", **{f"model.{k}": v for k, v in model.items()}})
    built = build_network(settings.model, size, images=6, prototypes=2)
    generator = torch.Generator().manual_seed(0)
    features = built.backbone(torch.rand(6, 3, *size, generator=generator))
    built.residuals.prototypes.fit(features, seed=0)
    return built


@pytest.mark.parametrize("preset", ["standard", "paper"])
@pytest.mark.parametrize("size", [(64, 64), (96, 160)])
def test_logits_have_the_size_of_the_image(preset, size):
    net = network(preset, size).eval()
    logits = net(torch.rand(2, 3, *size))
    assert logits.shape == (2, *size)
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize(
    ("size", "nearest"), [((250, 256), "256x256"), ((64, 100), "64x96"), ((5, 5), "32x32")]
)
def test_an_illegal_size_names_the_nearest_legal_one(size, nearest):
    net = network()
    with pytest.raises(SizeError, match=nearest):
        net(torch.rand(1, 3, *size))


@pytest.mark.parametrize("preset", ["standard", "paper"])
def test_every_trained_parameter_gets_a_gradient_and_no_frozen_one(preset):
    net = network(preset).train()
    net(torch.rand(2, 3, 64, 64)).square().mean().backward()
    without = [n for n, p in net.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []
    assert all(p.grad is None for p in net.backbone.parameters())


def test_training_moves_no_buffer_of_backbone_or_prototypes():
    net = network().train()
    fixed = {n: b.clone() for n, b in net.named_buffers() if n.startswith(("backbone", "residuals"))}
    net(torch.rand(4, 3, 64, 64))
    assert all(torch.equal(b, dict(net.named_buffers())[n]) for n, b in fixed.items())


def test_features_and_residuals_have_fusions_of_their_own():
    net = network()
    own = {id(p) for p in net.feature_fusion.parameters()}
    assert own.isdisjoint(id(p) for p in net.residual_fusion.parameters())


def test_the_residual_of_a_prototype_is_zero_and_the_map_depends_on_residuals():
    net = network().eval()
    prototypes = net.residuals.prototypes
    features = [getattr(prototypes, f"maps_{s}")[:1] for s in range(3)]
    assert all((r == 0).all() for r in net.residuals(features))
    image = torch.rand(1, 3, 64, 64)
    before = net(image)
    for s in range(3):
        getattr(prototypes, f"maps_{s}").add_(1.0)
    assert not torch.allclose(before, net(image))


def test_the_last_stage_sees_the_stem():
    net = network().eval()
    stem, features = net.backbone.stem(torch.rand(1, 3, 64, 64)), net.backbone(torch.rand(1, 3, 64, 64))
    assert stem.shape == (1, 64, 32, 32)
    with_stem, without = (net.head(s, features, (64, 64)) for s in (stem, torch.zeros_like(stem)))
    assert not torch.allclose(with_stem, without)
    plain = network(detail=0).eval()
    assert torch.equal(*(plain.head(s, features, (64, 64)) for s in (stem, torch.zeros_like(stem))))


@pytest.mark.parametrize("model", [{"detail": 8, "output_stride": 1}, {"detail": 0, "output_stride": 4}])
def test_the_decoder_ends_where_it_is_told(model):
    assert network(size=(64, 96), **model).eval()(torch.rand(1, 3, 64, 96)).shape == (1, 64, 96)


def test_batch_of_one_equals_its_place_in_a_batch():
    net = network().eval()
    images = torch.rand(3, 3, 64, 64)
    with torch.no_grad():
        together, alone = net(images), net(images[1:2])
    torch.testing.assert_close(together[1:2], alone, rtol=1e-3, atol=1e-4)


def trained_numbers(net) -> int:
    return sum(p.numel() for p in net.parameters() if p.requires_grad)


def test_without_residuals_the_network_is_as_large_and_prototypes_count_for_nothing():
    net, whole = network(residual="none").eval(), network()
    assert trained_numbers(net) == trained_numbers(whole)
    image = torch.rand(1, 3, 64, 64)
    features = net.backbone(image)
    assert all(torch.equal(a, b) for a, b in zip(net.residuals(features), features, strict=True))
    before = net(image)
    for s in range(3):
        getattr(net.residuals.prototypes, f"maps_{s}").add_(1.0)
    assert torch.equal(before, net(image))


def test_separate_scales_hear_nothing_of_each_other_and_are_no_smaller():
    net, whole = network(fusion="separate").eval(), network()
    assert trained_numbers(net) >= trained_numbers(whole)
    maps = [torch.rand(1, w, 16 >> s, 16 >> s) for s, w in enumerate((32, 64, 64))]
    changed = [maps[0], maps[1] + 1, maps[2]]
    same = [torch.equal(a, b) for a, b in zip(net.feature_fusion(maps), net.feature_fusion(changed), strict=True)]
    assert same == [True, False, True]
    mixed = whole.eval().feature_fusion
    assert not any(torch.equal(a, b) for a, b in zip(mixed(maps), mixed(changed), strict=True))


def test_a_frozen_layer_4_neither_trains_nor_moves():
    net = network(bottom="layer4_frozen").train()
    kept = {name: tensor.clone() for name, tensor in net.bottom.state_dict().items()}
    net(torch.rand(2, 3, 64, 64)).square().mean().backward()
    assert all(p.grad is None and not p.requires_grad for p in net.bottom.parameters())
    assert all(torch.equal(tensor, kept[name]) for name, tensor in net.bottom.state_dict().items())
    assert any(p.requires_grad for p in network(bottom="layer4").bottom.parameters())


def test_standard_is_lean():
    def trained(preset):
        settings = load(preset, {"model.weights": "random"})
        return trained_numbers(build_network(settings.model, (256, 256), 10, 1))

    assert trained("standard") < trained("paper") / 10
