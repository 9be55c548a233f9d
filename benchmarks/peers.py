"""anomalib's networks as ONNX files for `python benchmarks/speed.py --peers DIR`, at 256 x 256, with random weights.

    python -m venv ../peers && ../peers/bin/pip install '.[peers]'
    ../peers/bin/python benchmarks/peers.py DIR

In an environment of its own, since anomalib asks for other versions than constraints.txt has. A network is written
once per batch size, as some of them fix it: DIR/NAME_1.onnx and DIR/NAME_8.onnx. Nothing is downloaded.
"""

import argparse
import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from unittest.mock import patch

import timm
import torch
from anomalib.models.image.efficient_ad.torch_model import EfficientAdModel
from anomalib.models.image.patchcore.torch_model import PatchcoreModel
from anomalib.models.image.reverse_distillation.anomaly_map import AnomalyMapGenerationMode
from anomalib.models.image.reverse_distillation.torch_model import ReverseDistillationModel
from anomalib.models.image.supersimplenet.torch_model import SupersimplenetModel
from torch import Tensor, nn

SIDE = 256
BATCHES = 1, 8


class Inference(nn.Module):
    """What a line asks for: map and score."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        found = self.model(image)
        return found.anomaly_map, found.pred_score


def supersimplenet() -> nn.Module:
    return SupersimplenetModel(backbone="resnet18.tv_in1k", layers=["layer2", "layer3"])


def reverse_distillation() -> nn.Module:
    layers = ["layer1", "layer2", "layer3"]
    return ReverseDistillationModel("resnet18", (SIDE, SIDE), layers, AnomalyMapGenerationMode.ADD, pre_trained=False)


def efficient_ad_s() -> nn.Module:
    """With statistics set, as training leaves them."""
    model = EfficientAdModel()
    for value in (*model.mean_std.values(), *model.quantiles.values()):
        torch.nn.init.uniform_(value, 0.5, 1.5)
    return model


def patchcore() -> nn.Module:
    """Its memory: a tenth of the 32 x 32 patches of 100 images."""
    model = PatchcoreModel(["layer2", "layer3"], "resnet18", pre_trained=False)
    model.memory_bank = torch.rand(32 * 32 * 100 // 10, 128 + 256)
    return model


PEERS: dict[str, Callable[[], nn.Module]] = {
    "supersimplenet_r18": supersimplenet,
    "reverse_distillation_r18": reverse_distillation,
    "efficient_ad_s": efficient_ad_s,
    "patchcore_r18": patchcore,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("into", type=Path)
    into = parser.parse_args().into
    into.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    create = timm.create_model
    with patch.object(timm, "create_model", lambda *a, **k: create(*a, **{**k, "pretrained": False})):
        for name, build in PEERS.items():
            model = Inference(build()).eval()
            for batch in BATCHES:
                example = torch.rand(batch, 3, SIDE, SIDE)
                program = torch.onnx.export(model, (example,), dynamo=True, opset_version=18, verbose=False)
                program.save(into / f"{name}_{batch}.onnx")
                print(name, batch)
    (into / "versions.json").write_text(json.dumps({name: version(name) for name in ("anomalib", "torch", "timm")}))
