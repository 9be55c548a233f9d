"""The network to export is the trained one in another form."""

import pytest
import torch

from protores.bundle.graph import MatrixContext, deployed, enlargement
from protores.bundle.stored import StoredPrototypes, log1p
from protores.model.context import with_context
from protores.model.network import build_network
from protores.model.prototypes import Prototypes
from protores.presets import load

PAPER = load("paper").model
QUICK = load("quick").model


CELLS = load("quick", {"model.match_cells": 2}).model
LOCAL = load("quick", {"model.local_prototypes": 7}).model
LOCAL_SQUARED = load("quick", {"model.local_prototypes": 7, "model.residual": "squared"}).model
ABLATED = load(
    "quick", {"model.residual": "none", "model.fusion": "separate", "model.bottom": "layer4_frozen"}
).model


@pytest.fixture(
    params=[QUICK, PAPER, CELLS, LOCAL, LOCAL_SQUARED, ABLATED],
    ids=["quick", "paper", "cells", "local", "local squared", "ablated"],
)
def network(request):
    """Random weights and statistics, prototypes of random images; K-means found fewer of them than it was asked for."""
    torch.manual_seed(0)
    settings = request.param.model_copy(update={"weights": "random"})
    network = build_network(settings, (64, 96), 12, 5)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    network.eval()
    images = torch.rand(3, 3, 64, 96).repeat(4, 1, 1, 1)
    network.residuals.fit(network.backbone(images), 0)
    return network


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("batch", [1, 3])
@torch.no_grad()
def test_same_maps_as_the_trained_network(network, batch, centred):
    images = torch.rand(batch, 3, 64, 96)
    module = deployed(network, centred)
    torch.testing.assert_close(module(images), network.anomaly_map(images), rtol=0, atol=1e-5)
    assert module.prototypes == 3


@torch.no_grad()
def test_the_trained_network_is_left_as_it_is(network):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    deployed(network)
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_prototypes_are_kept_in_half_precision_and_no_batch_norm_is_left(network):
    module = deployed(network)
    kept = module.network.residuals.prototypes
    assert all(getattr(kept, f"maps_{s}").dtype == torch.float16 for s in range(kept.scales))
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in module.modules())
    assert not any(p.requires_grad for p in module.parameters())


def test_logarithm_by_roots():
    x = torch.cat([torch.zeros(1), torch.logspace(-8, 8, 10_000)])
    error = (log1p(x) - torch.log1p(x.double())).abs()
    assert error[x <= 1e6].max() < 1e-5
    assert error.max() < 1e-4


@pytest.mark.parametrize(("small", "large"), [(5, 10), (8, 32), (7, 7)])
def test_enlargement_is_bilinear_interpolation(small, large):
    maps = torch.rand(2, 1, small, small + 3)
    wanted = torch.nn.functional.interpolate(maps, (large, large + 9), mode="bilinear", align_corners=False)
    found = enlargement(small, large) @ maps @ enlargement(small + 3, large + 9).T
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("size", [(32, 32), (64, 96)])
def test_context_by_matrices(size):
    maps = torch.rand(3, *size)
    torch.testing.assert_close(MatrixContext(*size, 0.2)(maps), with_context(maps, 0.2))


@torch.no_grad()
def test_nearest_stays_nearest_in_bfloat16():
    """Prototypes a hundredth apart on maps far from zero: without the mean taken out, rounding decides."""
    torch.manual_seed(0)
    maps = 5 + 0.05 * torch.randn(8, 6, 16, 16)
    trained = Prototypes([(6, 16, 16)], 8, 8)
    trained.fit([maps], 0)
    stored = StoredPrototypes(trained)
    images = maps + 0.02 * torch.randn(8, 6, 16, 16)
    wanted = trained([images])[0][0]
    with torch.autocast("cpu", torch.bfloat16):
        found = stored([images])[0][0]
        plain = trained.maps_0[(trained.norms_0 - 2 * images.flatten(1) @ trained.maps_0.flatten(1).T).argmin(1)]
    assert torch.equal(found, wanted)
    assert not torch.equal(plain, wanted)


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("settings", [QUICK, PAPER, CELLS, ABLATED], ids=["quick", "paper", "cells", "ablated"])
@torch.no_grad()
def test_same_maps_and_distances_for_several_products(settings, centred):
    torch.manual_seed(0)
    network = build_network(settings.model_copy(update={"weights": "random"}), (64, 96), (6, 4), (3, 2)).eval()
    shown = torch.rand(2, 3, 64, 96).repeat_interleave(torch.tensor([6, 4]), 0)
    network.residuals.fit(network.backbone(0.7 * shown + 0.3 * torch.rand_like(shown)), 0)
    images = 0.7 * shown[[0, 9, 1]] + 0.3 * torch.rand(3, 3, 64, 96)
    module = deployed(network, centred)
    maps, distances = module(images)
    torch.testing.assert_close(maps, network.anomaly_map(images), rtol=0, atol=1e-5)
    torch.testing.assert_close(distances, network.distances(images), rtol=1e-3, atol=1e-4)
    assert distances.argmin(1).tolist() == [0, 1, 0]
    assert module.prototypes == 5
