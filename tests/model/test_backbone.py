"""Frozen for good, the same as timm's network, and clear about weights that do not fit."""

import logging
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from protores.errors import SettingsError, WeightsError
from protores.model.backbone import MEAN, STD, Backbone

WEIGHTS = Path(__file__).parents[2].parent / "shared" / "weights" / "resnet18_tv_in1k_to_layer3.safetensors"


def test_features_are_those_of_timm_with_the_same_weights():
    net = timm.create_model("resnet18", features_only=True, out_indices=(1, 2, 3)).eval()
    net.load_state_dict(load_file(WEIGHTS), strict=False)
    backbone, bottom = Backbone.load("resnet18", str(WEIGHTS))
    image = torch.rand(2, 3, 64, 96)
    normed = (image - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    with torch.no_grad():
        expected = net(normed)
    assert bottom is None
    for ours, theirs in zip(backbone(image), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_stays_frozen_and_in_eval_mode_whatever_train_is_called():
    backbone, _ = Backbone.load("resnet18", "random")
    image = torch.rand(1, 3, 64, 64)
    before = [f.clone() for f in backbone(image)]
    torch.nn.Sequential(backbone).train()
    for _ in range(3):
        backbone(torch.rand(4, 3, 64, 64))
    assert not any(module.training for module in backbone.modules())
    assert not any(p.requires_grad for p in backbone.parameters())
    for a, b in zip(before, backbone(image), strict=True):
        assert torch.equal(a, b)


def test_layer_4_missing_in_the_file_is_named_and_starts_at_random(caplog):
    with caplog.at_level(logging.WARNING):
        _, bottom = Backbone.load("resnet18", str(WEIGHTS), bottom=True)
    assert "layer4" in caplog.text
    assert all(p.requires_grad for p in bottom.parameters())


def test_no_word_of_layer_4_where_it_is_not_used(caplog):
    with caplog.at_level(logging.WARNING):
        Backbone.load("resnet18", str(WEIGHTS))
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("tensors", "why"),
    [
        ({"something.else": torch.zeros(3)}, "no key fits"),
        ({"conv1.weight": torch.zeros(8, 3, 3, 3)}, "not \\(64, 3, 7, 7\\)"),
    ],
)
def test_weights_of_another_architecture_are_an_error(tmp_path, tensors, why):
    save_file(tensors, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=why):
        Backbone.load("resnet18", str(tmp_path / "w.safetensors"))


def test_no_file_and_no_safetensors(tmp_path):
    with pytest.raises(WeightsError, match="no weights file"):
        Backbone.load("resnet18", str(tmp_path / "none.safetensors"))
    (tmp_path / "w.safetensors").write_bytes(b"\x80\x04 a pickle")
    with pytest.raises(WeightsError, match="not a safetensors file"):
        Backbone.load("resnet18", str(tmp_path / "w.safetensors"))


@pytest.mark.parametrize("name", ["resnet999", "vit_tiny_patch16_224"])
def test_a_backbone_that_cannot_be_cut(name):
    with pytest.raises(SettingsError, match="resnet"):
        Backbone.load(name, "random")


def test_another_resnet_works():
    backbone, bottom = Backbone.load("resnet10t", "random", bottom=True)
    features = backbone(torch.rand(1, 3, 64, 64))
    assert [f.shape[-1] for f in features] == [16, 8, 4]
    assert bottom(features[-1]).shape[-1] == 2
