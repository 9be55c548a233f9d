"""The soak in small: nothing is lost over a stop and a kill, and what would be lost is found."""

import json
from random import Random

import pytest
import soak
from fastapi.testclient import TestClient

from protores.station.app import App
from protores.station.station import Station

BROKEN = ("truncated", "empty", "zeros", "bomb", "another type", "random")


@pytest.fixture
def verdicting(make_bundle):
    return make_bundle(map_threshold=0.6, good_below=0.3, bad_above=0.6)


def test_seconds_of_it_with_many_broken_images(verdicting, tmp_path):
    figures = soak.soak(verdicting, tmp_path, seconds=6, clients=3, rate=30, share=0.3)
    assert figures["nothing lost"], json.dumps(figures, indent=2)
    assert figures["accepted"] == figures["requests"]["whole"] > 0
    assert sum(figures["requests"].get(kind, 0) for kind in BROKEN) > 0
    assert len(figures["lives"]) == 3


def test_every_broken_file_is_refused_by_its_kind(verdicting, tmp_path):
    station = Station(verdicting, tmp_path / "store", threads=1)
    rng, seen, content = Random(0), {}, soak.drawn(0)
    while len(seen) < len(BROKEN):
        kind, file = soak.broken(rng, content)
        seen[kind] = file
    with TestClient(App(station), base_url="http://127.0.0.1") as client:
        for kind, file in seen.items():
            answer = client.post("/v1/inspect", content=file, headers=soak.HEADERS)
            assert answer.status_code == (413 if kind == "bomb" else 422), kind
    station.close()


def test_what_is_lost_or_another_is_found(verdicting, tmp_path):
    store, content = tmp_path / "store", soak.drawn(0)
    station = Station(verdicting, store, threads=1)
    with TestClient(App(station), base_url="http://127.0.0.1") as client:
        told = [client.post("/v1/inspect", content=content).json()["verdicts"][0] for _ in range(3)]
    station.close()
    accepted = {verdict["id"]: verdict for verdict in told}
    assert not any(value for key, value in soak.on_disk(store, accepted).items() if key != "integrity")

    (image,) = store.glob(f"images/*/{told[0]['id']}")
    image.write_bytes(b"another")
    accepted[told[1]["id"]] = told[1] | {"score": 0.0}
    accepted["0" * 16] = told[2]
    found = soak.on_disk(store, accepted)
    assert (found["missing in SQLite"], found["another in SQLite"], found["images that are others"]) == (1, 1, 1)


def test_memory_is_compared_after_its_warm_up():
    flat, growing = [50.0] * 20 + [100.0] * 79 + [300.0], [100.0 + number for number in range(100)]
    assert soak.life(flat)["growth"] == 0
    assert soak.life(growing)["growth"] == pytest.approx(60 / 129.5, abs=0.001)


@pytest.mark.long
def test_twenty_minutes_of_it(tiny_bundle, tmp_path):
    figures = soak.soak(tiny_bundle, tmp_path, seconds=1200, clients=4, rate=8, share=0.01)
    assert figures["nothing lost"], json.dumps(figures, indent=2)
    assert figures["flat"], json.dumps(figures, indent=2)
