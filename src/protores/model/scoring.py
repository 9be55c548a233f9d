"""From images to maps and scores. The image score is the mean of the highest pixels (the number is open)."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from protores.data.image import network_input
from protores.memory import fitting
from protores.model.network import PRN


def image_score(maps: Tensor, top: float) -> Tensor:
    """Mean of the highest share `top` of the pixels (at least one), B numbers. maps: B x H x W in [0, 1]."""
    flat = maps.flatten(1)
    return flat.topk(max(1, round(flat.shape[1] * top)), dim=1).values.mean(1)


@torch.inference_mode()
def score_images(
    network: PRN,
    images: NDArray[np.uint8],
    top: float,
    valid: NDArray[np.bool_] | None = None,
    batch_size: int = 8,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Anomaly maps N x H x W and scores N, both in [0, 1], in float32 precision; leaves the network in eval mode.

    images: N x H x W x 3 uint8, RGB. top: see image_score. valid: N x H x W, the map is 0 where it is False.
    """
    network.eval()
    device = next(network.parameters()).device
    maps = np.zeros(images.shape[:3], np.float32)
    scores = np.zeros(len(images), np.float32)

    def fill(batch_size: int) -> None:
        for start in range(0, len(images), batch_size):
            part = slice(start, start + batch_size)
            found = network.anomaly_map(torch.from_numpy(network_input(images[part])).to(device))
            if valid is not None:
                found = found * torch.from_numpy(valid[part]).to(device)
            maps[part] = found.cpu().numpy()
            scores[part] = image_score(found, top).cpu().numpy()

    fitting(batch_size, fill)
    return maps, scores
