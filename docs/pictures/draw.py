"""Draws the pictures of docs/thresholds.md and docs/report.md, from the toy product alone.

    python docs/pictures/draw.py --weights FILE          # trains on drawn boards, then as below
    python docs/pictures/draw.py --run RUN               # a run on them that is there already

Chromium and its driver take the pictures (on Debian: apt-get install chromium chromium-driver).
"""

import argparse
import base64
import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np
from selenium import webdriver

from protores import toy, workflow
from protores.decision.calibration import calibrate
from protores.decision.request import Request
from protores.report.page import report

HERE = Path(__file__).resolve().parent
SIZE = 128
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--run", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        run = arguments.run or train(work, arguments.weights, arguments.steps)
        held = toy.draw(work / "held", good=100, test_good=100, defects_per_kind=12, size=SIZE, seed=1)
        print("\n".join(calibrate(run, held, Request(max_false_alarm=0.1, max_miss=0.3)).lines()))
        report(run, work / "report.html")
        photograph(work / "report.html", work)


def train(work: Path, weights: str, steps: int) -> Path:
    data = toy.draw(work / "board", good=120, test_good=40, defects_per_kind=12, size=SIZE)
    settings = {
        "model.weights": weights,
        "data.size": (SIZE, SIZE),
        "split.seen": 12,
        "split.seen_kinds": ("scratch", "solder_bridge", "contamination"),
        "training.steps": steps,
        "training.minutes": None,
    }
    workflow.train(data, work / "run", "quick", settings)
    return work / "run"


def photograph(page: Path, work: Path) -> None:
    options = webdriver.ChromeOptions()
    for flag in (*FLAGS, f"--user-data-dir={work / 'profile'}"):
        options.add_argument(flag)
    options.binary_location = shutil.which("chromium") or ""
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        for name, width, height, above in (("report", 1440, 1010, "body"), ("report-phone", 390, 844, "body")):
            screen(browser, page, width, height)
            save(name, shot(browser, above, width, height))
        screen(browser, page, 1440, 1000)
        save("report-images", shot(browser, "#gallery", 1440, 760))
        save("thresholds", shot(browser, "#control", 1440, 400))
    finally:
        browser.quit()


def screen(browser: webdriver.Chrome, page: Path, width: int, height: int) -> None:
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(page.as_uri())


def shot(browser: webdriver.Chrome, selector: str, width: int, height: int) -> bytes:
    """The page from the top of an element on, as PNG."""
    top = browser.execute_script("return document.querySelector(arguments[0]).getBoundingClientRect().top", selector)
    clip = {"x": 0, "y": max(0, top - 12), "width": width, "height": height, "scale": 1}
    asked = {"captureBeyondViewport": True, "clip": clip}
    return base64.b64decode(browser.execute_cdp_cmd("Page.captureScreenshot", asked)["data"])


def save(name: str, png: bytes) -> None:
    """In as many colours as fit into MOST_BYTES."""
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    for bits in (8, 6, 5, 4):
        step = 1 << (8 - bits)
        coarse = np.minimum((image.astype(np.int32) + step // 2) // step * step, 255).astype(np.uint8)
        data = cv2.imencode(".png", coarse, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()
        if len(data) <= MOST_BYTES:
            break
    (HERE / f"{name}.png").write_bytes(data)
    print(f"{name}.png {len(data)} bytes, {bits} bits a channel")


if __name__ == "__main__":
    main()
