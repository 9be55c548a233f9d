"""The pictures of a run: which images are shown, and in what order."""


import numpy as np

from protores.judgement import Judgement
from protores.product import Product
from protores.report.sheet import save, stacked
from protores.report.sheets import Entry, Image, preview_sheet, result_sheet
from protores.synthesis.synthesizer import Synthesizer

__all__ = ["preview", "results", "save", "stacked"]

COLUMNS = 6
PREVIEW = 3


def preview(product: Product, synthesizer: Synthesizer, seed: int) -> Image:
    """Contact sheet of what training learns from: good images, foreground, simulated, seen and extended anomalies."""
    good, seen = product.role("train"), product.role("seen")
    picked = np.linspace(0, len(good) - 1, min(COLUMNS, len(good))).round().astype(int)
    draw = [synthesizer.simulated] + ([synthesizer.extended] if synthesizer.seen else [])
    made = [
        [
            (a.image, a.mask)
            for n in range(2)
            for i in picked
            for a in [make(good.images[i], int(i), np.random.default_rng((seed, PREVIEW, k, n, i)))]
        ]
        for k, make in enumerate(draw)
    ]
    simulated, extended = made[0], made[1] if len(made) > 1 else []
    what = "object" if synthesizer.foreground.is_object else "texture"
    return preview_sheet(
        good=[good.images[i] for i in picked],
        foregrounds=[synthesizer.foregrounds[i] for i in picked],
        simulated=simulated,
        seen=list(zip(seen.images[: 2 * COLUMNS], seen.masks[: 2 * COLUMNS], strict=True)),
        extended=extended,
        title=f"{product.dataset.root.name}: {len(good)} good images, taken for: {what}",
    )


def results(judgement: Judgement, threshold: float | None, product: str) -> Image:
    """Of every kind the defects with the lowest scores, and the good images with the highest, worst first."""
    images, scores = judgement.images, judgement.scores
    entries = [
        Entry(
            images.images[i],
            images.masks[i] if images.has_mask[i] else None,
            anomaly_map,
            float(scores[i]),
            images.paths[i].name,
            images.kinds[i],
        )
        for i, anomaly_map in judgement.maps.items()
    ]
    return result_sheet(
        entries, threshold, title=f"{product}: of each kind the two hardest and the two easiest test images"
    )
