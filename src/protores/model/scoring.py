"""From images to maps and scores. The image score is the mean of the highest pixels (the number is open)."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from protores.data.image import network_input
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
    maps, scores = [], []
    for start in range(0, len(images), batch_size):
        batch = torch.from_numpy(network_input(images[start : start + batch_size]))
        found = network.anomaly_map(batch.to(device))
        if valid is not None:
            found = found * torch.from_numpy(valid[start : start + batch_size]).to(device)
        maps.append(found.cpu().numpy())
        scores.append(image_score(found, top).cpu().numpy())
    if not maps:
        return np.zeros((0, *images.shape[1:3]), np.float32), np.zeros(0, np.float32)
    return np.concatenate(maps), np.concatenate(scores)
