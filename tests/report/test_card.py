"""What the page shows of an image: photo, heat and outlines lie on each other."""

import base64
from dataclasses import replace

import cv2
import numpy as np
import pytest

from protores.decision.inspected import Inspected
from protores.report import heatmap
from protores.report.card import OPACITY, heat_layer, make_cards, outlines


def decoded(uri: str) -> np.ndarray:
    head, _, text = uri.partition(",")
    assert head == "data:image/webp;base64"
    return cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_UNCHANGED)


def with_map(one: Inspected, anomaly_map: np.ndarray) -> Inspected:
    return replace(one, result=replace(one.result, network_map=anomaly_map.astype(np.float32)))


def test_a_good_part_looks_like_itself(inspected):
    assert not decoded(heat_layer(with_map(inspected[0], np.zeros((64, 64)))))[..., 3].any()


def test_a_value_has_one_colour_whatever_else_is_on_the_map(inspected):
    ramp = np.tile(np.linspace(0, 1, 64), (64, 1))
    half = decoded(heat_layer(with_map(inspected[0], np.full((64, 64), 0.5))))
    layer = decoded(heat_layer(with_map(inspected[0], ramp)))
    expected = heatmap.colour(np.full((1, 1), 0.5, np.float32))[0, 0]
    for pixel in (half[32, 32], layer[32, 32]):
        np.testing.assert_allclose(pixel[2::-1], expected, atol=12)
        assert pixel[3] == pytest.approx(255 * 0.5 * OPACITY, abs=4)
    assert layer[32, 63, 3] == pytest.approx(255 * OPACITY, abs=4)


def test_outlines_are_in_the_pixels_of_the_original(inspected):
    one = next(one for one in inspected if one.mask is not None and one.mask.any())
    mask = np.zeros((64, 64), np.uint8)
    mask[16:32, 8:24] = 1
    twice = replace(one, mask=mask, result=replace(one.result, size=(128, 192)))
    (polygon,) = outlines(twice)
    x, y = np.array(polygon).T
    assert (x.min(), x.max()) == pytest.approx((8 * 3, 24 * 3), abs=2)
    assert (y.min(), y.max()) == pytest.approx((16 * 2, 32 * 2), abs=2)


def test_outlines_keep_out_of_the_filled_border(inspected):
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, :] = 1
    result = replace(inspected[0].result, size=(32, 64), box=(16, 0, 32, 64))
    (polygon,) = outlines(replace(inspected[0], mask=mask, result=result))
    assert max(y for _, y in polygon) <= 32


def test_without_a_mask_there_is_no_outline(inspected):
    assert outlines(replace(inspected[0], mask=None)) is None


def test_groups(inspected):
    cards = make_cards(inspected, frozenset({"scratch"}), 10**7)
    assert {card.kind for card in cards if card.group == "seen"} == {"scratch"}
    assert {card.kind for card in cards if card.group == "good"} == {"good"}
    assert len({card.kind for card in cards if card.group == "unseen"}) == 4


def test_photos_get_smaller_where_there_is_no_room(inspected, rng):
    loud = [replace(one, picture=rng.integers(0, 256, (384, 384, 3), np.uint8)) for one in inspected]
    room = 20 * 30_000
    cards = make_cards(loud, frozenset(), room)
    assert sum(len(card.photo) + len(card.heat) for card in cards) <= room
    assert decoded(cards[0].photo).shape[0] < 384
    assert decoded(make_cards(loud, frozenset(), 10**8)[0].photo).shape[0] == 384
