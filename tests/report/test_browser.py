"""The page in a browser: its slider moves the thresholds and everything follows; it fits a phone and prints."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait


@pytest.fixture(scope="module")
def browser(open_browser) -> Iterator[webdriver.Chrome]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def opened(browser, page: Path) -> webdriver.Chrome:
    browser.get(page.as_uri())
    return browser


def confusion(browser: webdriver.Chrome) -> dict[str, int]:
    cells = browser.find_elements(By.CSS_SELECTOR, "#confusion td[data-cell]")
    return {cell.get_attribute("data-cell"): int(cell.find_element(By.TAG_NAME, "b").text) for cell in cells}


def expected(browser: webdriver.Chrome) -> dict[str, int]:
    """The same counted here, from the scores and the thresholds that the page shows."""
    images = browser.execute_script("return JSON.parse(document.getElementById('data').textContent).images")
    inputs = (browser.find_element(By.ID, f"{name}-number") for name in ("good-below", "bad-above"))
    good_below, bad_above = (float(one.get_attribute("value")) for one in inputs)
    counts: dict[str, int] = {}
    for row, groups in (("good", ["good"]), ("defective", ["seen", "unseen"])):
        scores = [image["score"] for image in images if image["group"] in groups]
        counts[f"{row} good"] = sum(score < good_below for score in scores)
        counts[f"{row} bad"] = sum(score > bad_above for score in scores)
        counts[f"{row} look-again"] = len(scores) - counts[f"{row} good"] - counts[f"{row} bad"]
    return counts


def settle(browser: webdriver.Chrome) -> None:
    """Until the frame after the next is drawn."""
    browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")


def test_the_confusion_is_that_of_the_scores(opened):
    found = confusion(opened)
    assert {key: found[key] for key in expected(opened)} == expected(opened)
    assert sum(found[key] for key in found if key.startswith("good ")) == 5
    assert sum(found[key] for key in found if key.startswith("defective ")) == 15
    assert not [entry for entry in opened.get_log("browser") if entry["level"] == "SEVERE"]


def test_the_slider_moves_the_thresholds_and_everything_follows(opened):
    before = confusion(opened)
    sentence = opened.find_element(By.ID, "sentence").text
    line = "return document.querySelector('#histogram line.line').getAttribute('x1')"
    place = opened.execute_script(line)
    slider = opened.find_element(By.ID, "good-below")
    slider.send_keys(Keys.HOME)
    settle(opened)
    assert confusion(opened)["good good"] == confusion(opened)["defective good"] == 0
    for _ in range(60):
        slider.send_keys(Keys.PAGE_UP)
    settle(opened)
    after = confusion(opened)
    assert {key: after[key] for key in expected(opened)} == expected(opened)
    assert after["defective good"] == 15
    assert after != before
    assert opened.find_element(By.ID, "sentence").text != sentence
    assert "15 are missed" in opened.find_element(By.ID, "sentence").text
    assert opened.find_element(By.ID, "tally").text.startswith("15 misses")
    assert opened.execute_script(line) != place
    assert "flatter" in opened.find_element(By.ID, "caveat").text
    assert "--good-below" in opened.find_element(By.ID, "next").text
    groups = [heading.text for heading in opened.find_elements(By.CSS_SELECTOR, "#groups h3")]
    assert groups[0] == "Misses: defective, called good (15)"
    pushed = opened.find_element(By.ID, "bad-above-number").get_attribute("value")
    assert float(pushed) == float(opened.find_element(By.ID, "good-below-number").get_attribute("value"))
    opened.find_element(By.ID, "reset").click()
    assert confusion(opened) == before


def test_worst_first_within_each_group(opened):
    groups = opened.execute_script(
        "return [...document.querySelectorAll('#groups .grid-of-cards')].map((grid) =>"
        " [grid.previousSibling.textContent, [...grid.children].map((card) => card.image.score)])"
    )
    for title, scores in groups:
        assert scores == sorted(scores, reverse=not title.startswith(("Misses", "Defective")))


def test_filters_by_kind_and_verdict(opened):
    def shown() -> list[str]:
        return [card.text for card in opened.find_elements(By.CSS_SELECTOR, "#groups .card")]

    assert len(shown()) == 20
    opened.find_element(By.CSS_SELECTOR, "#kinds [data-value=good]").click()
    assert len(shown()) == 15
    for chip in opened.find_elements(By.CSS_SELECTOR, "#outcomes button"):
        chip.click()
    assert not shown()
    assert opened.find_element(By.ID, "nothing").is_displayed()


def test_an_image_opens_by_key_and_the_arrows_go_on(opened):
    card = opened.find_element(By.CSS_SELECTOR, "#groups .card")
    card.send_keys(Keys.ENTER)
    title = opened.find_element(By.ID, "viewer-title")
    WebDriverWait(opened, 5).until(lambda _: title.is_displayed())
    first = title.text
    opened.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert title.text != first
    opened.switch_to.active_element.send_keys(Keys.ESCAPE)
    WebDriverWait(opened, 5).until(lambda _: not title.is_displayed())


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_is_wider_than_the_screen(opened, width):
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    settle(opened)
    assert opened.execute_script("return document.documentElement.scrollWidth") <= width
    opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_it_prints(opened):
    pdf = base64.b64decode(opened.execute_cdp_cmd("Page.printToPDF", {})["data"])
    assert pdf.startswith(b"%PDF")
    assert 2 <= pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") <= 8
