"""Prototypes of 264 images at three scales (K = 26), features in hand: time, and inertia against scikit-learn.

    python benchmarks/prototypes.py [--images 264] [--k 26]

Features are those of MVTec AD grid's good training images. scikit-learn runs on the maps of the smallest scale
only (256 x 16 x 16), since on all of them it takes minutes; inertia is compared there, ten restarts against one.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "3000")

import numpy as np
import torch
from common import SHARED, median_seconds, write
from sklearn.cluster import KMeans

from protores.data.image import read_image, resize_image
from protores.model.backbone import Backbone
from protores.model.prototypes import Prototypes, gram_kmeans, gram_matrix
from protores.training.features import extract_features

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--images", type=int, default=264)
parser.add_argument("--k", type=int, default=26)
arguments = parser.parse_args()

files = sorted((SHARED / "data/mvtec_ad/grid/train/good").glob("*.png"))[: arguments.images]
images = np.stack([resize_image(read_image(file), (256, 256)) for file in files])
backbone, _ = Backbone.load("resnet18", str(SHARED / "weights/resnet18_tv_in1k_to_layer3.safetensors"))
backbone.to(memory_format=torch.channels_last)
with tempfile.TemporaryDirectory() as folder:
    features = extract_features(backbone, images, True, Path(folder))
prototypes = Prototypes([tuple(f.shape[1:]) for f in features], arguments.k, len(images))
seconds = median_seconds(lambda: prototypes.fit(features, 0), repeats=5)

flat = features[2].permute(0, 2, 3, 1).flatten(1).float()
points = flat.numpy()


def inertia(clusters: np.ndarray) -> float:
    return sum(
        float(((points[clusters == c] - points[clusters == c].mean(0)) ** 2).sum())
        for c in np.unique(clusters)
    )


ours = inertia(gram_kmeans(gram_matrix(flat), arguments.k, 0))
start = time.perf_counter()
theirs = inertia(KMeans(arguments.k, n_init=1, random_state=0).fit_predict(points))
figures = {
    "images": len(images),
    "k": arguments.k,
    "seconds_three_scales": round(seconds, 2),
    "seconds_scikit_learn_smallest_scale_one_restart": round(time.perf_counter() - start, 2),
    "inertia_over_scikit_learns": round(ours / theirs, 5),
}
for name, value in figures.items():
    print(name, value)
write("prototypes", figures, seed=0)
