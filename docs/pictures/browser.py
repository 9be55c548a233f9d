"""Chromium without a screen, for the pictures of the docs (on Debian: apt-get install chromium chromium-driver)."""

import base64
import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from selenium import webdriver

HERE = Path(__file__).resolve().parent
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
MOST_BYTES = 300_000


@contextmanager
def opened() -> Iterator[webdriver.Chrome]:
    with tempfile.TemporaryDirectory() as profile:
        options = webdriver.ChromeOptions()
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.binary_location = shutil.which("chromium") or ""
        browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
        try:
            yield browser
        finally:
            browser.quit()


def screen(browser: webdriver.Chrome, width: int, height: int) -> None:
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def shot(browser: webdriver.Chrome, selector: str, width: int, height: int) -> bytes:
    """The page from the top of an element on, as PNG."""
    top = browser.execute_script("return document.querySelector(arguments[0]).getBoundingClientRect().top", selector)
    clip = {"x": 0, "y": max(0, top - 12), "width": width, "height": height, "scale": 1}
    beyond = clip["y"] + height > browser.execute_script("return innerHeight")  # it resizes the window for a moment
    asked = {"captureBeyondViewport": beyond, "clip": clip}
    return base64.b64decode(browser.execute_cdp_cmd("Page.captureScreenshot", asked)["data"])


def save(name: str, png: bytes) -> None:
    """In as many colours as fit into MOST_BYTES, a third of them so that no rare one is lost."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    for colours in (256, 192, 128, 96):
        rare = colours // 3
        common = _palette(image, colours - rare, Image.Quantize.MEDIANCUT)
        palette = Image.new("P", (1, 1))
        palette.putpalette(common + _palette(image, rare, Image.Quantize.MAXCOVERAGE))
        file = io.BytesIO()
        image.quantize(palette=palette, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
        if file.tell() <= MOST_BYTES:
            break
    (HERE / f"{name}.png").write_bytes(file.getvalue())
    print(f"{name}.png {file.tell()} bytes, {colours} colours")


def _palette(image: Image.Image, colours: int, method: Image.Quantize) -> list[int]:
    return (image.quantize(colours, method).getpalette() or [])[: 3 * colours]
