"""A station on a bundle made in milliseconds, and clients of it."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Any

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient

from protores.station.app import App
from protores.station.limits import Limits
from protores.station.station import Station

MakeStation = Callable[..., Station]
MakeClient = Callable[..., TestClient]


def encoded(image: np.ndarray, ending: str = ".png") -> bytes:
    """An RGB image, or a gray one, as a file's bytes."""
    return cv2.imencode(ending, image[..., ::-1] if image.ndim == 3 else image)[1].tobytes()


@pytest.fixture
def png(image) -> bytes:
    """The image as a file."""
    return encoded(image)


@pytest.fixture
def thresholded(make_bundle) -> Path:
    """A bundle with thresholds, so that there are verdicts and regions."""
    return make_bundle(map_threshold=0.6, good_below=0.3, bad_above=0.6)


@pytest.fixture
def make_station(hold, tmp_path, thresholded) -> Iterator[MakeStation]:
    """make_station(bundle=, store=, **limits): opened, and closed at the end unless its app did."""
    opened: list[Station] = []

    def make(bundle: Path = thresholded, store: Path = tmp_path / "store", **limits: Any) -> Station:
        opened.append(Station(bundle, store, Limits(**limits), threads=1))
        return opened[-1]

    yield make
    for station in opened:
        station.close()


@pytest.fixture
def make_client(make_station) -> Iterator[MakeClient]:
    """make_client(station=, token=, **of make_station): a client at http://127.0.0.1."""
    with ExitStack() as stack:

        def make(station: Station | None = None, token: str | None = None, **options: Any) -> TestClient:
            app = App(station or make_station(**options), token)
            client = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)
            return stack.enter_context(client)

        yield make


@pytest.fixture
def client(make_client) -> TestClient:
    return make_client()


class HeldEngine:
    """An engine that waits before each call until it is released, and counts its images. fails: raises instead."""

    def __init__(self, engine: Any):
        self.engine, self.name = engine, engine.name
        self.batches: list[int] = []
        self.called, self.released = Event(), Event()
        self.fails = False

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self.batches.append(len(images))
        self.called.set()
        assert self.released.wait(30)
        if self.fails:
            raise RuntimeError("/opt/secret/model.onnx: out of memory")
        return self.engine(images)


@pytest.fixture
def hold() -> Iterator[Callable[[Station], HeldEngine]]:
    """hold(station): its engine waits from now on; released at the end whatever happens."""
    held: list[HeldEngine] = []

    def begin(station: Station) -> HeldEngine:
        held.append(HeldEngine(station.model.engine))
        station.model.engine = held[-1]
        return held[-1]

    yield begin
    for engine in held:
        engine.released.set()


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """until(condition): waits for what other threads are about to bring about."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, "it never came about"
            time.sleep(0.002)

    return wait
