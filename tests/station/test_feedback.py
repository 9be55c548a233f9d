"""What people say: kept, replaced, taken back, and exported as a folder that training reads."""

import base64
import csv
import io
import zipfile
from contextlib import suppress

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protores.data.image import read_mask
from protores.data.layouts import recognise
from protores.errors import RunError
from protores.station.feedback import export_feedback
from protores.station.names import checked_kind, file_stem
from protores.station.refusal import Refusal


def png_of(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def text(pixels: np.ndarray) -> str:
    return base64.b64encode(png_of(pixels)).decode()


@pytest.fixture
def painted(image) -> np.ndarray:
    mask = np.zeros(image.shape[:2], np.uint8)
    cv2.circle(mask, (90, 40), 9, 255, -1)
    return mask


@pytest.fixture
def inspected(client, png):
    """inspected(name, content): the verdict on an image."""

    def inspect(name: str = "a.png", content: bytes = png) -> dict:
        return client.post("/v1/inspect", files=[("files", (name, content))]).json()["verdicts"][0]

    return inspect


def test_feedback_is_kept_replaced_and_taken_back(client, inspected, painted):
    record = inspected()
    said = client.post(
        "/v1/feedback", json={"id": record["id"], "label": "bad", "kind": " Kratzer ", "mask": text(painted)}
    )
    assert said.status_code == 200
    feedback = said.json().pop("feedback")
    assert (feedback["label"], feedback["kind"], feedback["has_mask"]) == ("bad", "Kratzer", True)
    assert said.json() == record | {"feedback": feedback} == client.get(f"/v1/verdicts/{record['id']}").json()
    mask = client.get(f"/v1/verdicts/{record['id']}/mask")
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(mask.content, np.uint8), -1), painted)
    again = client.post("/v1/feedback", json={"id": record["id"], "label": "good"}).json()["feedback"]
    assert (again["label"], again["kind"], again["has_mask"]) == ("good", None, False)
    assert client.get(f"/v1/verdicts/{record['id']}/mask").status_code == 404
    assert client.delete(f"/v1/feedback/{record['id']}").json() == record
    assert client.get("/v1/verdicts?feedback=any").json()["verdicts"] == []


def test_a_mask_stays_where_none_is_given(client, inspected, painted):
    """A kind that is chosen after painting does not cost the mask."""
    record = inspected()

    def say(**said) -> bool:
        answer = client.post("/v1/feedback", json={"id": record["id"], "label": "bad", **said})
        return answer.json()["feedback"]["has_mask"]

    assert not say()
    assert say(mask=text(painted))
    assert say(kind="bent")
    mask = client.get(f"/v1/verdicts/{record['id']}/mask").content
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(mask, np.uint8), -1), painted)
    assert not say(mask=None)
    assert say(mask=text(painted))
    assert not say(label="good")
    assert not say()


def test_a_mask_may_come_as_a_canvas_gives_it(client, inspected, painted):
    record = inspected()
    canvas = np.zeros((*painted.shape, 4), np.uint8)
    canvas[painted > 0] = (30, 20, 240, 255)
    said = client.post("/v1/feedback", json={"id": record["id"], "label": "bad", "mask": text(canvas)})
    assert said.json()["feedback"]["has_mask"]
    mask = client.get(f"/v1/verdicts/{record['id']}/mask").content
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(mask, np.uint8), -1), painted)
    empty = client.post("/v1/feedback", json={"id": record["id"], "label": "bad", "mask": text(0 * canvas)})
    assert empty.json()["feedback"]["has_mask"] is False


def test_a_mask_stays_while_the_image_is_bad_unless_another_is_given(client, inspected, painted):
    id = inspected()["id"]

    def say(**said) -> bool:
        return client.post("/v1/feedback", json={"id": id, **said}).json()["feedback"]["has_mask"]

    assert say(label="bad", mask=text(painted))
    assert say(label="bad", kind="dent")
    assert not say(label="bad", mask=None)
    assert say(label="bad", mask=text(painted))
    assert not say(label="good")
    assert not say(label="bad")


def test_what_contradicts_itself_is_refused(client, inspected, painted):
    record = inspected()
    bomb = png_of(np.zeros((4000, 4000), np.uint8))
    wrong = [
        {"label": "good", "mask": text(painted)},
        {"label": "good", "kind": "scratch"},
        {"label": "perhaps"},
        {"label": "bad", "mask": text(painted[:-1])},
        {"label": "bad", "mask": text(painted.T)},
        {"label": "bad", "mask": base64.b64encode(bomb).decode()},
        {"label": "bad", "mask": "%%%"},
        {"label": "bad", "mask": "é"},
        {"label": "bad", "mask": base64.b64encode(png_of(painted)[:-15]).decode()},
        {"label": "bad", "kind": "../up"},
        {"label": "bad", "colour": "red"},
        {},
    ]
    for one in wrong:
        answer = client.post("/v1/feedback", json={"id": record["id"], **one})
        assert answer.status_code == 422, one
        assert answer.json().keys() == {"error"}
    assert client.post("/v1/feedback", content=b"{").status_code == 422
    assert client.post("/v1/feedback", json={"id": "0" * 16, "label": "bad"}).status_code == 404
    assert client.delete(f"/v1/feedback/{'0' * 16}").status_code == 404
    assert client.get(f"/v1/verdicts/{record['id']}").json() == record


def test_export_is_a_data_folder_and_the_same_in_both_ways(client, inspected, painted, image, png, tmp_path):
    jpeg = cv2.imencode(".jpg", image)[1].tobytes()
    good = inspected("../Teil 1.PNG.png", png_of(image[:50]))
    scratch = inspected("=cmd|x.png", png)
    unnamed = inspected("", jpeg)
    inspected("nobody said.png", png_of(image[:30]))
    for said in (
        {"id": good["id"], "label": "good"},
        {"id": scratch["id"], "label": "bad", "kind": "tiefer Kratzer", "mask": text(painted)},
        {"id": unnamed["id"], "label": "bad"},
    ):
        assert client.post("/v1/feedback", json=said).status_code == 200

    exported = export_feedback(tmp_path / "store", tmp_path / "feedback")
    assert (exported.good, exported.bad, exported.masked) == (1, 2, 1)
    archive = zipfile.ZipFile(io.BytesIO(client.get("/v1/feedback/export").content))
    assert archive.testzip() is None
    home = tmp_path / "feedback"
    folder = {path.relative_to(home).as_posix(): path.read_bytes() for path in home.rglob("*.*")}
    assert {name: archive.read(name) for name in archive.namelist()} == folder

    names = {
        f"good/Teil_1.PNG_{good['id']}.png",
        f"bad/tiefer Kratzer/cmd_x_{scratch['id']}.png",
        f"masks/tiefer Kratzer/cmd_x_{scratch['id']}.png",
        f"bad/{unnamed['id']}.jpg",
        "feedback.csv",
    }
    assert set(folder) == names
    assert folder[f"bad/{unnamed['id']}.jpg"] == jpeg
    samples = {s.kind: s for s in recognise(tmp_path / "feedback").samples}
    assert set(samples) == {"good", "tiefer Kratzer", "bad"}
    assert samples["bad"].mask is None
    np.testing.assert_array_equal(read_mask(samples["tiefer Kratzer"].mask), painted > 0)
    rows = list(csv.DictReader(io.StringIO(folder["feedback.csv"].decode())))
    assert [(row["id"], row["label"], row["kind"], row["name"]) for row in rows] == [
        (good["id"], "good", "", "../Teil 1.PNG.png"),
        (scratch["id"], "bad", "tiefer Kratzer", "cmd|x.png"),
        (unnamed["id"], "bad", "", ""),
    ]
    assert {row["file"] for row in rows} == {name for name in names if name.startswith(("good/", "bad/"))}
    with pytest.raises(RunError):
        export_feedback(tmp_path / "store", tmp_path / "feedback")


@given(st.text(max_size=100))
def test_a_stem_is_harmless_whatever_the_name_was(name):
    stem = file_stem(name)
    assert len(stem) <= 60
    assert not set(stem) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert not stem.startswith((".", "-"))


@given(st.text(max_size=80))
def test_a_kind_is_one_folder_of_its_own_or_refused(tmp_path_factory, kind):
    checked = None
    with suppress(Refusal):
        checked = checked_kind(kind)
    if checked is not None:
        folder = tmp_path_factory.getbasetemp() / "kinds" / checked
        assert folder.parent.name == "kinds"
        assert folder.name == checked
        folder.mkdir(parents=True, exist_ok=True)


@pytest.mark.parametrize(
    "kind",
    ["..", "a/b", "a\\b", "CON", "nul.txt", "good", "Good", "x" * 61, "a\nb", ".a", "a.", "a:b", "a,b", "-a", "=1+1"],
)
def test_kinds_that_are_no_folders(kind):
    with pytest.raises(Refusal):
        checked_kind(kind)


@pytest.mark.parametrize(("kind", "checked"), [(None, None), ("", None), (" ", None), (" ein Kratzer ", "ein Kratzer")])
def test_kinds_that_are(kind, checked):
    assert checked_kind(kind) == checked
