"""The network to export is the trained one in another form."""

import pytest
import torch

from protores.bundle.graph import deployed
from protores.model.network import build_network
from protores.settings import load

PAPER = load("paper").model
QUICK = load("quick").model


@pytest.fixture(params=[QUICK, PAPER], ids=["quick", "paper"])
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
    network.residuals.prototypes.fit(network.backbone(images), 0)
    return network


@pytest.mark.parametrize("batch", [1, 3])
@torch.no_grad()
def test_same_maps_as_the_trained_network(network, batch):
    images = torch.rand(batch, 3, 64, 96)
    module = deployed(network)
    torch.testing.assert_close(module(images), torch.sigmoid(network(images)), rtol=0, atol=2e-6)
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
