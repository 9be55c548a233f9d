"""Draws the pictures of docs/station.md, from the toy product alone.

    python docs/pictures/draw_station.py --weights FILE          # trains on drawn boards, then as below
    python docs/pictures/draw_station.py --run RUN               # a run on them that is there already

Chromium and its driver take the pictures (on Debian: apt-get install chromium chromium-driver).
"""

import subprocess
import sys
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np
from browser import opened, save, screen, shot
from draw import calibrated, run_on_boards
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from protores import toy, workflow

PHOTO = 640
"""Side of the images that are inspected, pixels: sharper than what the network sees."""
PARTS = 48
WIDTH, HEIGHT = 1440, 900
THUMBNAILS = 10
"""That are seen at this size."""
DECODED = "return [...document.querySelectorAll('#list img')].filter((one) => one.complete && one.naturalWidth).length"


def main() -> None:
    with run_on_boards(__doc__) as (work, run):
        workflow.export(run, work / "bundle")
        calibrated(work / "bundle", work)
        command = [sys.executable, "-m", "protores.cli", "serve", str(work / "bundle"), "--port", "0"]
        with subprocess.Popen([*command, "--store", str(work / "store")], stdout=subprocess.PIPE, text=True) as station:
            try:
                assert station.stdout is not None
                address = station.stdout.readline().split()[3].rstrip(",")
                inspect(address)
                photograph(address)
            finally:
                station.terminate()


def inspect(address: str) -> None:
    """A morning's parts, each third with a defect; the last one is bad."""
    kinds = sorted(toy.KINDS)
    for part in range(PARTS):
        rng = np.random.default_rng([7, part])
        if part % 3 == 2:
            image, _ = toy.draw_defect(rng, kinds[part // 3 % len(kinds)], PHOTO)
        else:
            image = toy.draw_good(rng, PHOTO)
        body = cv2.imencode(".png", image[..., ::-1])[1].tobytes()
        headers = {"Content-Type": "image/png", "X-Name": quote(f"{1042 + part}.png")}
        urllib.request.urlopen(urllib.request.Request(f"{address}/v1/inspect", body, headers)).read()


def photograph(address: str) -> None:
    with opened() as browser:
        screen(browser, WIDTH, HEIGHT)
        browser.get(address)
        choose(browser, "bad", 0)
        wait(browser, lambda: browser.execute_script(DECODED) >= THUMBNAILS)
        browser.execute_async_script("setTimeout(arguments[0], 1000)")
        save("station", shot(browser, "body", WIDTH, HEIGHT))
        trial(browser)
        save("station-trial", shot(browser, "#verdict", WIDTH, HEIGHT - 70))
        press(browser, Keys.ESCAPE)
        choose(browser, "look-again", 0)
        paint(browser)
        save("station-painting", shot(browser, "body", WIDTH, HEIGHT))
        press(browser, Keys.ENTER)
        wait(browser, lambda: browser.find_element(By.ID, "status").text.startswith("Saved"))
        screen(browser, 390, 844)
        press(browser, "0")
        choose(browser, "bad", 0)
        save("station-phone", shot(browser, "body", 390, 844))


def choose(browser: webdriver.Chrome, verdict: str, number: int) -> None:
    """Shows the image with so many newer ones of that verdict."""
    found = wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, f"#list [data-verdict={verdict}]")[number:])
    browser.execute_script("arguments[0].click(); scrollTo(0, 0)", found[0])
    wait(browser, lambda: found[0].get_attribute("aria-current"))
    browser.execute_async_script("setTimeout(arguments[0], 1000)")


def trial(browser: webdriver.Chrome) -> None:
    press(browser, "t", *[Keys.PAGE_DOWN] * 3)
    browser.execute_script("document.activeElement.blur()")


def paint(browser: webdriver.Chrome) -> None:
    press(browser, "i", "p", "]", "]", "]")
    canvas = browser.find_element(By.ID, "canvas")
    line = ActionChains(browser).move_to_element_with_offset(canvas, -70, -30).click_and_hold()
    for step in ((30, 18), (35, 6), (35, 22), (30, 10)):
        line.move_by_offset(*step)
    line.release().perform()


def press(browser: webdriver.Chrome, *keys: str) -> None:
    ActionChains(browser).send_keys(*keys).pause(0.5).perform()


def wait(browser: webdriver.Chrome, reached: Callable[[], Any]) -> Any:
    return WebDriverWait(browser, 20).until(lambda _: reached())


if __name__ == "__main__":
    main()
