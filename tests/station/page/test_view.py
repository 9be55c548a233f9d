"""The image and what lies over it."""

import cv2
import numpy as np
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.keys import Keys

FOUND = (255, 60, 230)


def zoom(person) -> int:
    """Percent."""
    return int(person.reads("zoomed").split()[0])


def test_verdict_score_and_regions_are_those_of_the_station(person):
    record = person.choose("ruined.png")
    assert person.reads("word") == "bad"
    assert float(person.reads("score")) == pytest.approx(record["score"], abs=5e-4)
    assert len(person.all("#regions button")) == min(100, len(record["regions"])) > 0
    announced = person["announced"]
    assert announced.get_attribute("aria-live") == "assertive"
    assert announced.get_attribute("textContent").startswith("bad, score ")
    person.wait(lambda: person.all("#list img[src]"))
    person.photograph("bad")


def test_heat_map_and_outlines_lie_over_the_photo_and_can_be_taken_off(person):
    record = person.choose("ruined.png")
    both = person.sees()
    person.press("k")
    heat = person.sees()
    person.press("h")
    plain = person.sees()
    assert (both == FOUND).all(axis=2).any()
    assert not (heat == FOUND).all(axis=2).any()
    assert not np.array_equal(heat, plain)
    photo = person.station.image(f"/v1/verdicts/{record['id']}/image")[..., ::-1]
    (left, top), (right, bottom) = (person.place(record["size"], *corner) for corner in ((0, 0), record["size"][::-1]))
    part = plain[top:bottom, left:right]
    resized = cv2.resize(photo, part.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    assert np.abs(part.astype(int) - resized).mean() < 8
    person.press("h")
    person["opacity"].send_keys(Keys.HOME)
    assert np.array_equal(person.sees(), plain)
    person["opacity"].send_keys(Keys.END)
    assert np.abs(person.sees().astype(int) - plain).sum() > np.abs(heat.astype(int) - plain).sum()


def test_the_heat_map_is_in_inferno_over_black(person):
    """Where the photo is black the canvas is the colour of the value, times the value."""
    record = person.choose("black.png")
    person.press("k")
    person["opacity"].send_keys(Keys.END)
    level = int(person.station.image(f"/v1/verdicts/{record['id']}/map")[32, 48])
    colour = cv2.applyColorMap(np.array([[level]], np.uint8), cv2.COLORMAP_INFERNO)[0, 0, ::-1]
    x, y = person.place(record["size"], record["size"][1] / 2, record["size"][0] / 2)
    assert np.abs(person.sees()[y, x] - colour * (level / 255)).max() <= 4


def test_a_region_and_its_line_in_the_list_are_linked(person):
    record = person.choose("spoiled.png")
    before = person.sees()
    ActionChains(person.browser).move_to_element(person.all("#regions button")[0]).perform()
    assert not np.array_equal(person.sees(), before)
    largest = max(record["regions"], key=lambda region: region["area"])
    x, y = np.mean(largest["polygon"], axis=0)
    person.draw(record["size"], (x, y))
    assert [line.get_attribute("aria-pressed") for line in person.all("#regions button")].count("true") == 1
    person.press("i")
    assert zoom(person) > 200


def test_wheel_and_drag(person):
    person.choose("ruined.png")
    canvas = person["canvas"]
    ActionChains(person.browser).scroll_from_origin(ScrollOrigin.from_element(canvas), 0, -3000).perform()
    person.settle()
    assert zoom(person) >= 1000
    person.press("k")  # the numbers of regions stay within the view
    before = person.sees()
    ActionChains(person.browser).move_to_element(canvas).click_and_hold().move_by_offset(40, 25).release().perform()
    after = person.sees()
    assert not np.array_equal(after, before)
    assert np.abs(after[25:, 40:].astype(int) - before[:-25, :-40]).max() <= 3
    person.press("0")
    assert zoom(person) < 500
