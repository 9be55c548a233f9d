"""The page on a phone, a tablet, a desk and a wall, by day and by night."""

import pytest
from selenium.webdriver.common.keys import Keys


@pytest.fixture
def screen(person):
    """screen(width, height, scheme)"""

    def change(width: int, height: int, scheme: str) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        person.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        person.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        person.settle()

    yield change
    person.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    person.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.parametrize(("width", "height"), [(390, 844), (820, 1180), (1440, 900), (3840, 2160)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_screen_and_the_verdict_is_large(person, screen, width, height, scheme):
    person.choose("ruined.png")
    screen(width, height, scheme)
    assert person.asks("document.documentElement.scrollWidth") <= width
    size = person.asks("parseFloat(getComputedStyle(document.getElementById('word')).fontSize)")
    assert size >= (40 if width < 500 else 80)
    for selector in ("#verdict", "#word", "body"):
        assert contrast(person, selector) >= 4.5
    person.photograph(f"{width}-{scheme}")
    person.press("p")
    person.settle()
    assert person.asks("document.documentElement.scrollWidth") <= width
    person.photograph(f"{width}-{scheme}-painting")


def contrast(person, selector: str) -> float:
    """Of an element's text on what is behind it (WCAG 2.2)."""
    element = person.all(selector)[0]
    ink = element.value_of_css_property("color")
    while (paper := element.value_of_css_property("background-color")).endswith(", 0)"):
        element = element.find_element("xpath", "..")
    light, dark = sorted((luminance(ink), luminance(paper)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    channels = [float(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_help_lists_the_keys(person):
    person.press("?")
    assert "undo" in person.reads("keys")
    person.photograph("help")
    person.press(Keys.ESCAPE)
    assert not person["keys"].is_displayed()
