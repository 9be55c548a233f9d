"""Features made once are the ones the network would make."""

import numpy as np
import torch

from protores.model.backbone import Backbone
from protores.training import features as module
from protores.training.features import extract_features


def test_same_as_the_backbone_in_memory_and_on_disk(tmp_path, monkeypatch):
    backbone, _ = Backbone.load("resnet18", "random")
    images = np.random.default_rng(0).integers(0, 255, (5, 64, 32, 3)).astype(np.uint8)
    with torch.no_grad():
        expected = backbone(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255)
    told = []
    in_memory = extract_features(backbone, images, False, tmp_path, told.append, batch_size=2)
    assert told == [2, 4, 5]
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(module, "IN_MEMORY", 0)
    on_disk = extract_features(backbone, images, False, tmp_path, batch_size=2)
    assert len(list(tmp_path.iterdir())) == 3
    for a, b, c in zip(expected, in_memory, on_disk, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
        assert torch.equal(b, c[:])
        assert b[:2].is_contiguous(memory_format=torch.channels_last)
