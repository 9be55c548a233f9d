"""Figures of the whole and of its parts, each against the same computed alone."""

import json

import numpy as np
import pytest
from sklearn import metrics as sk

from protores.metrics.evaluation import evaluate
from protores.metrics.pixels import PixelCurves

KINDS = ["good", "good", "good", "crack", "crack", "dent", "dent", "stain"]


def toy(kinds: list[str] = KINDS) -> tuple[np.ndarray, np.ndarray, list[np.ndarray | None]]:
    rng = np.random.default_rng(len(kinds))
    masks = [(rng.random((16, 16)) < (kind != "good") * 0.1).astype(np.uint8) for kind in kinds]
    maps = np.clip(rng.beta(1, 6, (len(kinds), 16, 16)) + 0.2 * np.stack(masks), 0, 1).astype(np.float32)
    return maps.reshape(len(kinds), -1).mean(1) + rng.normal(0, 0.01, len(kinds)), maps, list(masks)


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("all", {"crack", "dent", "stain"}),
        ("seen", {"crack", "stain"}),
        ("unseen", {"dent"}),
        ("crack", {"crack"}),
        ("stain", {"stain"}),
    ],
)
def test_each_set_of_defects_against_all_good_images(name, chosen):
    scores, maps, masks = toy()
    evaluation = evaluate(scores, maps, masks, KINDS, {"crack", "stain"})
    sets = {"all": evaluation, "seen": evaluation.seen, "unseen": evaluation.unseen, **evaluation.kinds}
    figures = sets[name]
    rows = [i for i, kind in enumerate(KINDS) if kind == "good" or kind in chosen]
    labels = [KINDS[i] != "good" for i in rows]
    assert figures.image_auroc == pytest.approx(sk.roc_auc_score(labels, scores[rows]))
    assert figures.image_ap == pytest.approx(sk.average_precision_score(labels, scores[rows]))
    alone = PixelCurves()
    alone.update(maps[rows], np.stack([masks[i] for i in rows]))
    pixels = alone.compute()
    assert pixels.best_f1 is not None
    assert [figures.pixel_auroc, figures.pixel_ap, figures.pro, figures.pixel_f1_max] == pytest.approx(
        [pixels.auroc, pixels.ap, pixels.pro, pixels.best_f1.f1], abs=1e-12
    )


def test_a_defect_without_mask_counts_for_the_image_only():
    scores, maps, masks = toy()
    whole = evaluate(scores, maps, [*masks[:6], None, masks[7]], KINDS, set())
    rest = [i for i in range(8) if i != 6]
    without = evaluate(scores[rest], maps[rest], [masks[i] for i in rest], [KINDS[i] for i in rest], set())
    assert whole.counts.without_mask == 1
    assert whole.counts.defective == 5
    assert (whole.pixel_auroc, whole.pixel_ap, whole.pro) == (
        without.pixel_auroc,
        without.pixel_ap,
        without.pro,
    )
    assert whole.image_auroc == pytest.approx(sk.roc_auc_score([k != "good" for k in KINDS], scores))


def test_no_masks_at_all_leave_pixels_undefined():
    scores, maps, _ = toy()
    evaluation = evaluate(scores, maps, [None] * 8, KINDS, {"crack"})
    assert evaluation.image_auroc is not None
    assert (evaluation.pixel_auroc, evaluation.pro, evaluation.pixel_f1_max) == (None, None, None)


@pytest.mark.parametrize("kinds", [[], ["good"] * 3, ["crack"] * 3])
def test_one_class_alone_is_undefined_not_a_crash(kinds):
    scores, maps, masks = toy(kinds) if kinds else (np.zeros(0), np.zeros((0, 16, 16), np.float32), [])
    evaluation = evaluate(scores, maps, masks, kinds, set())
    assert (evaluation.image_auroc, evaluation.image_ap, evaluation.seen.image_auroc) == (None, None, None)
    assert (evaluation.pixel_ap is None) == ("crack" not in kinds)  # a defect image has good pixels, too


def test_kinds_that_were_not_seen_are_undefined_under_seen():
    evaluation = evaluate(*toy(), KINDS, set())
    assert set(vars(evaluation.seen).values()) == {None}
    assert vars(evaluation.unseen) == {key: getattr(evaluation, key) for key in vars(evaluation.unseen)}


@pytest.mark.parametrize("per_image", [False, True])
def test_ignored_pixels_count_nowhere(per_image):
    scores, maps, masks = toy()
    ignore = np.zeros((16, 16), bool)
    ignore[:4] = True
    for mask in masks:  # keep regions from reaching over the edge
        mask[4] = 0
    cut = evaluate(scores, maps[:, 4:], [mask[4:] for mask in masks], KINDS, {"dent"})
    given = np.broadcast_to(ignore, maps.shape) if per_image else ignore
    assert evaluate(scores, maps, masks, KINDS, {"dent"}, ignore=given) == cut


def test_to_dict_is_json_with_null_for_undefined():
    evaluation = evaluate(*toy(), KINDS, set())
    record = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))
    names = ["image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "pro", "pixel_f1_max"]
    assert list(record) == [*names, "seen", "unseen", "kinds", "counts", "exact"]
    assert list(record["kinds"]["dent"]) == names
    assert record["pro"] == evaluation.pro
    assert record["seen"]["pro"] is None
    assert record["counts"] == {
        "images": 8,
        "good": 3,
        "defective": 5,
        "without_mask": 0,
        "kinds": {"crack": 2, "dent": 2, "stain": 1},
    }


def test_arguments_that_do_not_fit_are_refused():
    scores, maps, masks = toy()
    with pytest.raises(ValueError, match="of one length"):
        evaluate(scores[1:], maps, masks, KINDS, set())
    with pytest.raises(ValueError, match="image 3 is good, but its mask marks a defect"):
        evaluate(scores, maps, masks, ["good"] * 8, set())
