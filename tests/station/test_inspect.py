"""POST /v1/inspect: the same results as an Inspector's, together, within limits, whatever is sent."""

import hashlib
import json
import re
import sqlite3
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protores import Inspector
from protores.bundle.contract import Contract
from protores.errors import StationError
from protores.station.limits import Limits


def encoded(image: np.ndarray, ending: str = ".png") -> bytes:
    return cv2.imencode(ending, image[..., ::-1])[1].tobytes()


def assert_same(record: dict, inspector: Inspector, content: bytes) -> None:
    """All that an Inspector alone gives, but for rounding by the number of images that a runtime computes at once."""
    alone = json.loads(json.dumps(inspector(content).to_dict()))
    assert record["score"] == pytest.approx(alone.pop("score"), abs=1e-6)
    regions = alone.pop("regions")
    assert len(record["regions"]) == len(regions)
    for mine, theirs in zip(record["regions"], regions, strict=True):
        assert (mine["box"], mine["area"], mine["polygon"]) == (theirs["box"], theirs["area"], theirs["polygon"])
        assert mine["peak"] == pytest.approx(theirs["peak"], abs=1e-6)
    assert {key: record[key] for key in alone} == alone
    assert record["model"] == inspector.digest
    assert record["sha256"] == hashlib.sha256(content).hexdigest()


def post(client, content, **headers):
    return client.post("/v1/inspect", content=content, headers={"Content-Type": "image/png", **headers})


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp", ".tiff", ".webp", ".ppm"])
def test_an_image_gets_what_an_inspector_gives(client, thresholded, image, ending):
    content = encoded(image, ending)
    answer = post(client, content, **{"X-Name": "Pr%C3%BCfling%201.png"})
    assert answer.status_code == 200
    (record,) = answer.json()["verdicts"]
    assert_same(record, Inspector(thresholded), content)
    assert record["name"] == "Prüfling 1.png"
    assert (record["good_below"], record["bad_above"], record["feedback"]) == (0.3, 0.6, None)
    assert client.get(f"/v1/verdicts/{record['id']}").json() == record


def test_several_come_back_in_order_and_a_broken_one_says_why(client, thresholded, rng):
    images = [encoded(rng.integers(0, 256, (40 + i, 60, 3), dtype=np.uint8)) for i in range(3)]
    parts = [*(("files", (f"{i}.png", content)) for i, content in enumerate(images))]
    parts.insert(1, ("files", ("broken.png", images[0][:-20])))
    answer = client.post("/v1/inspect", files=parts)
    assert answer.status_code == 200
    first, broken, *rest = answer.json()["verdicts"]
    assert [one["name"] for one in (first, *rest)] == ["0.png", "1.png", "2.png"]
    for record, content in zip((first, *rest), images, strict=True):
        assert_same(record, Inspector(thresholded), content)
    assert broken.keys() == {"name", "error"}
    assert broken["name"] == "broken.png"
    assert "cut off" in broken["error"]
    assert "\n" not in broken["error"]


def test_concurrent_requests_go_through_the_network_together(make_station, make_client, hold, until, thresholded, rng):
    station = make_station()
    client, engine = make_client(station), hold(station)
    images = [encoded(rng.integers(0, 256, (40 + i, 60, 3), dtype=np.uint8)) for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(post, client, images[0])]
        assert engine.called.wait(30)
        answers += [pool.submit(post, client, content) for content in images[1:]]
        until(lambda: station.batcher.ready == 7)
        engine.released.set()
        records = [answer.result().json()["verdicts"][0] for answer in answers]
    assert engine.batches == [1, 7]
    for record, content in zip(records, images, strict=True):
        assert_same(record, Inspector(thresholded), content)


def test_a_full_queue_asks_to_come_again(make_station, make_client, hold, png):
    station = make_station(queue=2)
    client, engine = make_client(station), hold(station)
    with ThreadPoolExecutor(1) as pool:
        accepted = pool.submit(client.post, "/v1/inspect", files=[("files", png), ("files", png)])
        assert engine.called.wait(30)
        refused = post(client, png)
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert client.get("/health").json()["queue"] == 2
        engine.released.set()
        assert accepted.result().status_code == 200
    assert post(client, png).status_code == 200
    assert client.get("/health").json()["queue"] == 0
    assert len(client.get("/v1/verdicts").json()["verdicts"]) == 3


def test_bytes_that_wait_are_limited_too(make_station, make_client, hold, until, rng):
    noise = encoded(rng.integers(0, 256, (100, 100, 3), dtype=np.uint8))  # 30 kB
    station = make_station(upload_mb=0.032)
    client, engine = make_client(station), hold(station)
    with ThreadPoolExecutor(8) as pool:
        accepted = [pool.submit(post, client, noise) for _ in range(8)]
        until(lambda: station.queue.held == 8 * len(noise))
        assert post(client, noise).status_code == 429
        engine.released.set()
        assert {answer.result().status_code for answer in accepted} == {200}
    assert station.queue.held == 0


def png_of(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    packed = zlib.compress(bytes((width + 7) // 8 + 1) * height, 9)
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def test_a_decompression_bomb_is_refused_before_it_is_unpacked(make_station, make_client, png, monkeypatch):
    station = make_station(megapixels=64)
    client, bomb = make_client(station), png_of(20_000, 20_000)
    assert len(bomb) < 100_000
    with monkeypatch.context() as patched:
        patched.setattr("protores.runtime.procedure.decode_image", lambda *_: pytest.fail("it was unpacked"))
        for content in (bomb, b"P5 9000 9000 255 ", b"BM" + bytes(12) + struct.pack("<Iii", 40, 9000, -9000)):
            answer = post(client, content)
            assert answer.status_code == 413
            assert "--max-megapixels" in answer.json()["error"]
    several = client.post("/v1/inspect", files=[("files", png), ("files", bomb)]).json()["verdicts"]
    assert "score" in several[0]
    assert "megapixels" in several[1]["error"]


def test_a_large_upload_is_refused(make_station, make_client, png):
    station = make_station(upload_mb=0.1)
    client = make_client(station)
    announced = post(client, bytes(200_000))
    chunked = post(client, (bytes(10_000) for _ in range(100)))
    form = client.post("/v1/inspect", files=[("files", bytes(60_000)), ("files", bytes(60_000))])
    for answer in (announced, chunked, form):
        assert answer.status_code == 413
        assert "--max-upload-mb" in answer.json()["error"]
    assert (station.queue.held, station.queue.taken) == (0, 0)
    assert post(client, png).status_code == 200


def test_more_parts_than_places_are_refused(make_client, make_station, png):
    station = make_station(queue=3)
    client = make_client(station)
    answer = client.post("/v1/inspect", files=[("files", png)] * 4)
    assert answer.status_code == 413
    assert client.post("/v1/inspect", files=[("files", b"")] * 1000).status_code == 413
    assert station.queue.taken == 0
    assert client.get("/v1/verdicts").json()["verdicts"] == []


@pytest.mark.parametrize("content", [b"", b"\0" * 99, b"GIF89a" + bytes(99), b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0",
                                     b"P5 3 3 255 ", b"RIFF\0\0\0\0WEBP", b"II*\0" + bytes(9)])  # fmt: skip
def test_what_is_no_image_says_why_and_does_no_harm(client, png, content):
    answer = post(client, content)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("the image cannot be read (")
    assert post(client, png).status_code == 200
    assert len(client.get("/v1/verdicts").json()["verdicts"]) == 1


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{}", "application/json", 415),
        (b"x", "multipart/form-data", 400),
        (b"x", "multipart/form-data; boundary=b", 400),
        (b"--b--\r\n", "multipart/form-data; boundary=b", 400),
        (b'--b\r\nContent-Disposition: form-data; name="files"\r\n\r\nhalf', "multipart/form-data; boundary=b", 400),
        (b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--b--', "multipart/form-data; boundary=b", 400),
        (b"--b\r\n" + b"A: b\r\n" * 99 + b"\r\nx\r\n--b--", "multipart/form-data; boundary=b", 400),
        (b"x", "multipart/form-data; boundary=" + "b" * 999, 400),
    ],
)
def test_bodies_that_are_none(make_station, make_client, content, kind, status):
    station = make_station()
    answer = make_client(station).post("/v1/inspect", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert answer.json().keys() == {"error"}
    assert station.queue.taken == 0


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, 70), min_size=1, max_size=6), name=st.text(max_size=30))
def test_a_form_may_arrive_in_any_pieces(client, cuts, name):
    images = [encoded(np.full((9, 9, 3), level, np.uint8)) for level in (0, 99)]
    safe = re.sub(rb'["\\\r\n]', b"%22", name.encode("utf-8", "replace"))
    head = b'Content-Disposition: form-data; name="files"; filename="' + safe + b'"\r\nContent-Type: image/png\r\n\r\n'
    body = b"".join(b"--frontier\r\n" + head + image + b"\r\n" for image in images) + b"--frontier--\r\n"

    def pieces():
        at = 0
        while at < len(body):
            for cut in cuts:
                yield body[at : at + cut]
                at += cut

    kind = {"Content-Type": "multipart/form-data; boundary=frontier"}
    answer = client.post("/v1/inspect", content=pieces(), headers=kind)
    assert answer.status_code == 200
    found = answer.json()["verdicts"]
    assert [one["sha256"] for one in found] == [hashlib.sha256(image).hexdigest() for image in images]
    assert all(one["name"].isprintable() for one in found)


@pytest.mark.parametrize("name", ["../../../etc/passwd", "C:\\Windows\\a.png", "/etc/shadow", "a/b\0c.png", "x" * 3000])
def test_no_name_of_a_client_reaches_the_disk(client, tmp_path, png, name):
    store = tmp_path / "store"
    before = {path for path in tmp_path.rglob("*") if not path.is_relative_to(store)}
    percent = "".join(f"%{byte:02X}" for byte in name.encode())
    records = post(client, png, **{"X-Name": percent}).json()["verdicts"]
    records += client.post("/v1/inspect", files=[("files", (name, png))]).json()["verdicts"]
    files = {path.relative_to(store).as_posix() for path in store.rglob("*") if path.is_file()}
    days = {record["time"][:10] for record in records}
    assert days == {path.name for path in (store / "images").iterdir()}
    assert {name for name in files if "/" in name} == {f"images/{r['time'][:10]}/{r['id']}" for r in records}
    assert {name for name in files if "/" not in name} <= {"lock", "station.db", "station.db-wal", "station.db-shm"}
    assert before == {path for path in tmp_path.rglob("*") if not path.is_relative_to(store)}
    assert all(len(record["name"]) <= 200 for record in records)


def test_a_failing_network_is_an_answer_and_no_end(make_station, make_client, hold, png):
    station = make_station()
    client, engine = make_client(station), hold(station)
    engine.fails = True
    engine.released.set()
    answer = post(client, png)
    assert answer.status_code == 500
    error = answer.json()["error"]
    assert "RuntimeError" in error
    assert "secret" not in error
    several = client.post("/v1/inspect", files=[("files", png), ("files", png)])
    assert [one.keys() for one in several.json()["verdicts"]] == [{"name", "error"}] * 2
    engine.fails = False
    assert post(client, png).status_code == 200
    assert station.queue.taken == 0


@pytest.mark.parametrize(
    ("method", "error"),
    [("put_image", OSError(28, "No space left on device")), ("add", sqlite3.OperationalError("disk is full"))],
)
def test_what_cannot_be_kept_has_no_verdict(make_station, make_client, tmp_path, png, monkeypatch, method, error):
    station = make_station()
    client = make_client(station)

    def full(*_: object) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(station.store, method, full)
        answer = post(client, png)
    assert answer.status_code == 507
    assert str(tmp_path) not in answer.text
    assert not [path for path in (tmp_path / "store" / "images").rglob("*") if path.is_file()]
    assert post(client, png).status_code == 200
    assert len(client.get("/v1/verdicts").json()["verdicts"]) == 1


def test_a_changed_contract_counts_from_the_next_image_on(client, thresholded: Path, png):
    (before,) = post(client, png).json()["verdicts"]
    contract = Contract.read(thresholded)
    changes = {"good_below": 0.999, "bad_above": 0.9999, "map_threshold": None}
    decision = contract.decision.model_copy(update=changes)
    contract.model_copy(update={"decision": decision}).write(thresholded)
    (after,) = post(client, png).json()["verdicts"]
    assert (before["verdict"], after["verdict"]) == ("bad", "good")
    assert (after["good_below"], after["regions"]) == (0.999, [])
    assert after["model"] == Inspector(thresholded).digest != before["model"]
    assert client.get("/v1/model").json()["thresholds"] == changes


def test_a_wrong_contract_is_told_and_the_last_good_one_goes_on(client, thresholded: Path, png, monkeypatch):
    monkeypatch.setattr("protores.station.live.RETRY_SECONDS", 0)
    good = (thresholded / "contract.json").read_text()
    (before,) = post(client, png).json()["verdicts"]
    (thresholded / "contract.json").write_text(good.replace('"good_below": 0.3', '"good_below": "low"'))
    (after,) = post(client, png).json()["verdicts"]
    assert (after["verdict"], after["model"]) == (before["verdict"], before["model"])
    assert "good_below" in client.get("/health").json()["warning"]
    assert client.get("/v1/model").json()["warning"] == client.get("/health").json()["warning"]
    assert "protores_contract_wrong 1.0" in client.get("/metrics").text
    (thresholded / "contract.json").write_text(good.replace('"good_below": 0.3', '"good_below": 0.2'))
    assert post(client, png).json()["verdicts"][0]["good_below"] == 0.2
    assert client.get("/health").json()["warning"] is None


def test_metrics_count_what_happened(client, png):
    post(client, png)
    post(client, b"no image")
    client.get("/nowhere")
    told = client.get("/metrics").text
    assert {
        'protores_images_total{outcome="bad"} 1.0',
        'protores_images_total{outcome="unreadable"} 1.0',
        'protores_refusals_total{status="422"} 1.0',
        'protores_refusals_total{status="404"} 1.0',
        "protores_image_seconds_count 1.0",
        "protores_batch_images_sum 1.0",
        "protores_queue_images 0.0",
    } <= set(told.splitlines())


@pytest.mark.parametrize(
    "limits", [{"upload_mb": 0}, {"megapixels": -1}, {"queue": 0}, {"upload_mb": float("nan")}, {"keep_days": 0}]
)
def test_limits_that_let_nothing_in_are_none(limits):
    with pytest.raises(StationError, match="above 0"):
        Limits(**limits)
