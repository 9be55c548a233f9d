"""A person in front of the page: Chromium at a station that runs as a process of its own."""

import base64
import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions import interaction
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

SIZE = (64, 96)
"""Of the network; images are four times as large."""
GOOD_BELOW, BAD_ABOVE = 0.6, 0.8
NOISE = {"black": 0.0, "faint": 0.05, "doubtful": 0.25, "spoiled": 0.6, "ruined": 1.0}
"""How strong the noise is that the network, one random convolution, takes for a defect."""
CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
SECONDS = 20
DROP = """
const [files] = arguments, transfer = new DataTransfer();
for (const [name, content] of files) {
  transfer.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], name, { type: "image/png" }));
}
for (const kind of ["dragenter", "dragover", "drop"]) {
  const event = new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true });
  document.getElementById("stage").dispatchEvent(event);
}
"""
ITEMS = """
return [...document.querySelectorAll("#list li:not([hidden]) button")]
  .map((one) => [one.querySelector("small").textContent, one.dataset.verdict]);
"""
Point = tuple[float, float]
Serving = Callable[..., AbstractContextManager[str]]
PaintedImage = Callable[..., bytes]


class Station:
    """What a station says over HTTP."""

    def __init__(self, address: str, token: str | None = None):
        self.address, self.token = address, token

    def get(self, path: str) -> bytes:
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        with urllib.request.urlopen(urllib.request.Request(self.address + path, headers=headers), timeout=10) as answer:
            return answer.read()

    def image(self, path: str) -> np.ndarray:
        return cv2.imdecode(np.frombuffer(self.get(path), np.uint8), cv2.IMREAD_UNCHANGED)

    def verdicts(self) -> list[dict[str, Any]]:
        return json.loads(self.get("/v1/verdicts?limit=200"))["verdicts"]

    def named(self, name: str) -> dict[str, Any]:
        return next(record for record in self.verdicts() if record["name"] == name)


class Person:
    """Who sees and does things at the page."""

    def __init__(self, browser: webdriver.Chrome, station: Station, pictures: Path):
        self.browser, self.station, self.pictures = browser, station, pictures

    def open(self) -> None:
        self.browser.get(f"{self.station.address}/")
        self.wait(lambda: self["connection"].get_attribute("data-state") == "there")

    def reload(self) -> None:
        self.browser.refresh()
        self.wait(lambda: self["connection"].get_attribute("data-state") == "there")

    def __getitem__(self, name: str) -> WebElement:
        return self.browser.find_element(By.ID, name)

    def all(self, selector: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def reads(self, name: str) -> str:
        return self[name].text

    def asks(self, script: str, *arguments: Any) -> Any:
        return self.browser.execute_script(f"return {script}", *arguments)

    def wait(self, reached: Callable[[], Any]) -> Any:
        return WebDriverWait(self.browser, SECONDS, poll_frequency=0.05).until(lambda _: reached())

    def settle(self) -> None:
        """Until the frame after the next is drawn."""
        self.browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")

    def press(self, *keys: str) -> None:
        ActionChains(self.browser).send_keys(*keys).perform()
        self.settle()

    def drop(self, files: dict[str, bytes]) -> None:
        contents = [(name, base64.b64encode(content).decode()) for name, content in files.items()]
        self.browser.execute_script(DROP, contents)

    def is_working(self) -> bool:
        return "working" in self.browser.find_element(By.TAG_NAME, "body").get_attribute("class")

    def history(self) -> dict[str, str]:
        """Verdicts of the images that it shows, by name."""
        return dict(self.browser.execute_script(ITEMS))

    def choose(self, name: str) -> dict[str, Any]:
        """Shows an image of the history; gives its record."""
        record = self.station.named(name)
        self.browser.find_element(By.CSS_SELECTOR, f"#list button[data-id='{record['id']}']").click()
        self.wait(lambda: self.reads("name").startswith(name))
        self.wait(lambda: self.sees().any())
        return record

    def sees(self) -> np.ndarray:
        """What the canvas shows, RGB."""
        self.settle()
        uri = self.asks("document.getElementById('canvas').toDataURL()")
        pixels = cv2.imdecode(np.frombuffer(base64.b64decode(uri.partition(",")[2]), np.uint8), cv2.IMREAD_COLOR)
        return np.ascontiguousarray(pixels[..., ::-1])

    def place(self, size: list[int], x: float, y: float) -> tuple[int, int]:
        """Where a point of the image is on the canvas, while the whole image is shown."""
        height, width = size
        box = self["canvas"].rect
        scale = min(box["width"] / width, box["height"] / height)
        left, top = (box["width"] - width * scale) / 2, (box["height"] - height * scale) / 2
        return round(left + x * scale), round(top + y * scale)

    def draw(self, size: list[int], *points: Point, kind: str = interaction.POINTER_MOUSE) -> None:
        """Goes through points of the image with the button down, or with a finger."""
        box = self["canvas"].rect
        builder = ActionBuilder(self.browser, mouse=PointerInput(kind, kind), duration=50)
        for k, point in enumerate(points):
            x, y = self.place(size, *point)
            builder.pointer_action.move_to_location(round(box["x"]) + x, round(box["y"]) + y)
            if k == 0:
                builder.pointer_action.pointer_down()
        builder.pointer_action.pointer_up()
        builder.perform()
        self.settle()

    def paints(self) -> bool:
        return self["paint-bar"].is_displayed()

    def photograph(self, name: str) -> None:
        (self.pictures / f"{name}.png").write_bytes(self.browser.get_screenshot_as_png())


@contextmanager
def _serving(bundle: Path, store: Path, *options: str) -> Iterator[str]:
    command = [sys.executable, "-m", "protores.cli", "serve", str(bundle), "--port", "0", "--store", str(store)]
    with subprocess.Popen([*command, "--threads", "1", *options], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[3].rstrip(",")
        finally:
            process.terminate()
            assert process.wait(20) == 0


@pytest.fixture(scope="session")
def serving() -> Serving:
    """serving(bundle, store, *options): `protores serve` as a process, its address in a with statement."""
    return _serving


@pytest.fixture(scope="session")
def spoiled() -> PaintedImage:
    """spoiled(noise, seed): a PNG file, black with a disc of noise in the middle."""

    def draw(noise: float, seed: int = 0) -> bytes:
        rng = np.random.default_rng(seed)
        inside = cv2.circle(np.zeros(SIZE, np.uint8), (SIZE[1] // 2, SIZE[0] // 2), 14, 1, cv2.FILLED)
        pixels = (rng.random((*SIZE, 3)) * 255 * noise * inside[..., None]).astype(np.uint8)
        return cv2.imencode(".png", np.kron(pixels, np.ones((4, 4, 1), np.uint8)))[1].tobytes()

    return draw


@pytest.fixture(scope="session")
def shown_bundle(write_bundle, tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("shown") / "bundle"
    return write_bundle(home, size=SIZE, bit_depth=8, map_threshold=0.75, good_below=GOOD_BELOW, bad_above=BAD_ABOVE)


@pytest.fixture(scope="session")
def browser(open_browser) -> Iterator[webdriver.Chrome]:
    with open_browser(*CAMERA, performance="ALL") as browser:
        yield browser


@pytest.fixture(scope="session")
def pictures(tmp_path_factory) -> Path:
    """For screenshots, to be looked at."""
    return tmp_path_factory.mktemp("screenshots")


@pytest.fixture(scope="session")
def filled(browser, shown_bundle, serving, spoiled, pictures, tmp_path_factory) -> Iterator[Person]:
    """The images of NOISE were dropped onto the page. What a test changes it puts back."""
    with serving(shown_bundle, tmp_path_factory.mktemp("store")) as address:
        person = Person(browser, Station(address), pictures)
        person.open()
        person.drop({f"{name}.png": spoiled(noise) for name, noise in NOISE.items()})
        person.wait(lambda: len(person.history()) == len(NOISE) and not person.is_working())
        yield person


@pytest.fixture
def person(filled) -> Iterator[Person]:
    """At the page, opened anew. It leaves no error in the console that a test did not take, and asks nobody else."""
    for log in ("browser", "performance"):
        filled.browser.get_log(log)
    filled.open()
    filled.wait(lambda: filled.reads("score"))
    yield filled
    assert not errors(filled.browser)
    sent = [json.loads(entry["message"])["message"] for entry in filled.browser.get_log("performance")]
    addresses = [one["params"]["request"]["url"] for one in sent if one["method"] == "Network.requestWillBeSent"]
    assert addresses
    assert not [one for one in addresses if not one.startswith((filled.station.address, "blob:", "data:"))]


def errors(browser: webdriver.Chrome) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


@pytest.fixture
def console(filled) -> Callable[[], list[str]]:
    """console(): takes the errors from it."""
    return lambda: errors(filled.browser)
