"""Several products in one network: each image meets the prototypes of its own product alone."""

import pytest
import torch

from protores.model.network import build_network
from protores.model.products import ProductResiduals
from protores.model.prototypes import NO_SOURCE, Prototypes
from protores.model.residuals import Residuals
from protores.presets import load

SHAPES = ((6, 8, 8), (8, 4, 4), (10, 2, 2))
IMAGES = (12, 7, 9)


def features(seed: int = 0) -> list[torch.Tensor]:
    """Of three products' normal images in a row, around a centre of each product's own."""
    generator = torch.Generator().manual_seed(seed)
    centres = [torch.randn(len(IMAGES), *shape, generator=torch.Generator().manual_seed(9)) for shape in SHAPES]
    product = torch.arange(len(IMAGES)).repeat_interleave(torch.tensor(IMAGES))
    return [
        (centre[product] + 0.3 * torch.randn(sum(IMAGES), *centre.shape[1:], generator=generator)).contiguous(
            memory_format=torch.channels_last
        )
        for centre in centres
    ]


def single(part: int, form: str = "log") -> Residuals:
    """The residuals of one product alone."""
    residuals = Residuals(Prototypes(SHAPES, 3, IMAGES[part]), form)
    first = sum(IMAGES[:part])
    residuals.fit([maps[first : first + IMAGES[part]] for maps in features()], 0)
    return residuals


@pytest.fixture(params=["log", "squared", "none"])
def residuals(request) -> ProductResiduals:
    made = ProductResiduals([Residuals(Prototypes(SHAPES, 3, images), request.param) for images in IMAGES])
    made.fit(features(), 0)
    return made


def test_residuals_are_those_of_the_image_s_product_alone(residuals):
    form = residuals.products[0].form
    order = torch.randperm(sum(IMAGES), generator=torch.Generator().manual_seed(1))
    given = [maps[order] for maps in features(1)]
    found = residuals(given)
    product = torch.arange(len(IMAGES)).repeat_interleave(torch.tensor(IMAGES))[order]
    for part in range(len(IMAGES)):
        rows = product == part
        wanted = single(part, form)([maps[rows] for maps in given])
        assert all(torch.equal(maps[rows], own) for maps, own in zip(found, wanted, strict=True))


def test_sources_count_through_all_products_and_stay_within_theirs(residuals):
    form = residuals.products[0].form
    source = torch.arange(sum(IMAGES))
    found = residuals(features(), source)
    first = 0
    for part, images in enumerate(IMAGES):
        rows = slice(first, first + images)
        wanted = single(part, form)([maps[rows] for maps in features()], torch.arange(images))
        assert all(torch.equal(maps[rows], own) for maps, own in zip(found, wanted, strict=True))
        first += images


def test_a_source_decides_even_where_another_product_is_nearer(residuals):
    """An anomaly may be as large as the image."""
    foreign = [maps[-1:] for maps in features()]
    found = residuals(foreign, torch.tensor([0]))
    wanted = single(0, residuals.products[0].form)(foreign, torch.tensor([0]))
    assert all(torch.equal(*pair) for pair in zip(found, wanted, strict=True))


def test_without_a_source_an_image_is_recognised(residuals):
    mixed = [maps[[0, IMAGES[0], 0, -1]] for maps in features(1)]
    source = torch.tensor([NO_SOURCE, NO_SOURCE, 3, NO_SOURCE])
    assert torch.equal(residuals._products(mixed, source), torch.tensor([0, 1, 0, 2]))


def test_distances_are_those_of_brute_force(residuals):
    given = features(2)
    usual = [
        torch.stack([getattr(p, f"spread_{s}").mean() for p in residuals.prototypes]).mean() for s in range(len(SHAPES))
    ]
    found = residuals.distances(given)
    assert found.shape == (sum(IMAGES), len(IMAGES))
    for i in (0, 5, 13, 20, 27):
        for part, prototypes in enumerate(residuals.prototypes):
            scales = [
                min(float((maps[i] - p).square().mean()) for p in getattr(prototypes, f"maps_{s}")) / float(usual[s])
                for s, maps in enumerate(given)
            ]
            assert float(found[i, part]) == pytest.approx(sum(scales) / len(scales), rel=1e-3)


def test_a_network_of_several_products_has_no_more_to_train_than_one_of_one():
    settings = load("quick", {"model.weights": "random"}).model

    def trained(images, prototypes):
        network = build_network(settings, (64, 64), images, prototypes)
        return sum(p.numel() for p in network.parameters() if p.requires_grad)

    assert trained((10, 20, 30), (1, 2, 3)) == trained(10, 1)
