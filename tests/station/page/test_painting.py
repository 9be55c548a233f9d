"""A mask painted on a defect, kept as feedback and exported."""

import io
import zipfile

import cv2
import numpy as np
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions import interaction
from selenium.webdriver.common.keys import Keys

TRUTH = (0, 220, 255)


@pytest.fixture
def painting(person):
    """painting(name): a record whose mask is being painted. What was said is taken back in the end."""
    records = []

    def start(name: str):
        records.append(person.choose(name))
        person.press("p")
        person.wait(person.paints)
        return records[-1]

    yield start
    for record in records:
        if person.station.named(record["name"])["feedback"]:
            person.press(Keys.DELETE)
            person.wait(lambda: person.reads("said") == "nothing said yet")


def saved(person, record) -> np.ndarray:
    """The mask as the station has it, after Enter."""
    person.press(Keys.ENTER)
    person.wait(lambda: not person.paints())
    return person.station.image(f"/v1/verdicts/{record['id']}/mask")


def test_strokes_are_undone_erased_saved_and_exported(person, painting, spoiled, tmp_path):
    record = painting("faint.png")
    height, width = record["size"]
    assert not person["save"].is_enabled()
    bend = [(60, 60), (120, 90), (180, 60)]
    person.draw(record["size"], *bend)
    person.draw(record["size"], (60, 200), (200, 200))
    person.press("x")
    for _ in range(2):  # the clearing, and the second stroke
        ActionChains(person.browser).key_down(Keys.CONTROL).send_keys("z").key_up(Keys.CONTROL).perform()
    person.press("e")
    person.draw(record["size"], (120, 40), (120, 140))
    person.photograph("painting")
    brush = int(person.reads("brush-pixels").split()[0])
    mask = saved(person, record)

    assert mask.shape == (height, width)
    assert set(np.unique(mask)) == {0, 255}
    line, erased = np.zeros((2, height, width), np.uint8)
    cv2.polylines(line, [np.array(bend)], False, 1, brush)
    cv2.line(erased, (120, 40), (120, 140), 1, brush)
    painted = ((line > 0) & (erased == 0)).astype(np.uint8)
    near = np.ones((5, 5), np.uint8)  # a pixel of the window is less than two of the image
    assert mask[cv2.erode(painted, near) > 0].all()
    assert not mask[cv2.dilate(painted, near) == 0].any()
    assert person.reads("status") == f"Saved: a mask of {np.count_nonzero(mask):,} pixels"

    person.all("#kinds [data-kind=bent]")[0].click()
    person.wait(lambda: person.reads("said") == "missed defect · bent · mask painted")
    said = person.station.named("faint.png")["feedback"]
    assert (said["label"], said["kind"], said["has_mask"]) == ("bad", "bent", True)

    person.browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    person.wait(lambda: person.reads("feedback-count") == "1")
    person["download"].click()
    (file,) = person.wait(lambda: list(tmp_path.glob("*.zip")))
    archive = zipfile.ZipFile(io.BytesIO(file.read_bytes()))
    (name,) = [name for name in archive.namelist() if name.startswith("masks/bent/")]
    exported = cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(exported, mask)
    (name,) = [name for name in archive.namelist() if name.startswith("bad/bent/")]
    assert archive.read(name) == spoiled(0.05)


def test_a_mask_is_there_after_a_reload_and_is_painted_on(person, painting):
    record = painting("faint.png")
    person.draw(record["size"], (60, 60), (120, 90))
    mask = saved(person, record)
    person.reload()
    person.choose("faint.png")
    assert (person.sees() == TRUTH).all(axis=2).any()
    person.press("p")
    person.wait(person.paints)
    person.draw(record["size"], (300, 200), (340, 200))
    more = saved(person, record)
    assert more[mask > 0].all()
    assert more[200, 320]


def test_by_finger_by_key_and_from_the_regions(person, painting):
    record = painting("spoiled.png")
    person.draw(record["size"], (20, 20), (80, 20), kind=interaction.POINTER_TOUCH)
    person.press(" ", Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, " ", "r")
    mask = saved(person, record)
    assert mask[20, 50]
    assert mask[record["size"][0] // 2, record["size"][1] // 2 + 2]
    for region in record["regions"]:
        assert mask[tuple(np.transpose(region["polygon"])[::-1])].all()


def test_the_place_under_the_brush_stays_there_when_keys_zoom(person, painting):
    record = painting("faint.png")
    person.draw(record["size"], (60, 60), (90, 60))
    painted = (person.sees() == TRUTH).all(axis=2)
    person.press("+", "+", "+")
    zoomed = (person.sees() == TRUTH).all(axis=2)
    centres = [np.argwhere(outline).mean(0) for outline in (painted, zoomed)]
    assert zoomed.sum() > 1.5 * painted.sum()
    assert np.linalg.norm(centres[0] - centres[1]) < 120
    person.press("0")


def test_work_that_is_not_saved_takes_two_keys_to_lose(person, painting):
    record = painting("faint.png")
    person.draw(record["size"], (60, 60), (120, 90))
    person.press(Keys.ESCAPE)
    assert person.paints()
    assert "not saved" in person.reads("status")
    person.press(Keys.ESCAPE)
    assert not person.paints()
    assert person.station.named("faint.png")["feedback"] is None
