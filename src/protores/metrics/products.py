"""Figures of several products that one network judges: each product's own, and their mean."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields

from protores.metrics.evaluation import Counts, Evaluation, Figures


@dataclass(frozen=True)
class ProductsEvaluation(Evaluation):
    """Every figure is the mean over the products that have it; kinds are called PRODUCT/KIND.

    products: each one's own figures. recognised: the share of each one's images that the network takes for it.
    """

    products: Mapping[str, Evaluation]
    recognised: Mapping[str, float]


def over_products(products: Mapping[str, Evaluation], recognised: Mapping[str, float]) -> ProductsEvaluation:
    """The figures of several products together."""
    parts = list(products.values())
    return ProductsEvaluation(
        **asdict(mean(parts)),
        seen=mean([part.seen for part in parts]),
        unseen=mean([part.unseen for part in parts]),
        kinds={f"{name}/{kind}": own for name, part in products.items() for kind, own in part.kinds.items()},
        counts=Counts(
            images=sum(part.counts.images for part in parts),
            good=sum(part.counts.good for part in parts),
            defective=sum(part.counts.defective for part in parts),
            without_mask=sum(part.counts.without_mask for part in parts),
            kinds={f"{name}/{kind}": n for name, part in products.items() for kind, n in part.counts.kinds.items()},
        ),
        exact=all(part.exact for part in parts),
        products=products,
        recognised=recognised,
    )


def mean(parts: Sequence[Figures]) -> Figures:
    """Of each figure the mean over those that have it; None where none has."""
    means = {}
    for field in fields(Figures):
        known = [value for part in parts if (value := getattr(part, field.name)) is not None]
        means[field.name] = sum(known) / len(known) if known else None
    return Figures(**means)
