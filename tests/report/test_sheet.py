"""Pages have the size their cells ask for, and show every picture where it belongs."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from protores.report.sheet import GAP, MARGIN, PAGE, Cell, Row, ascii_text, fit, save, sheet

RED = np.full((30, 40, 3), (200, 0, 0), np.uint8)


def test_width_follows_the_longest_row_and_height_the_proportions() -> None:
    wide, tall = np.zeros((50, 100, 3), np.uint8), np.zeros((90, 30), np.uint8)
    page = sheet(
        [Row("a", [Cell(wide), Cell(wide), Cell(wide)]), Row("", [Cell(tall, "x")])], "title", cell=80
    )
    assert page.dtype == np.uint8
    assert page.shape[1] == 2 * MARGIN + 3 * 80 + 2 * GAP
    plain = sheet([Row("", [Cell(wide)]), Row("", [Cell(tall)])], cell=80)
    assert plain.shape[0] == MARGIN + 40 + GAP + 240 + GAP + MARGIN - GAP
    assert (
        sheet([Row("a", [Cell(wide)])], cell=80).shape[0] > sheet([Row("", [Cell(wide)])], cell=80).shape[0]
    )


def test_pictures_stand_in_their_places() -> None:
    blue = np.full((60, 40, 3), (0, 0, 200), np.uint8)
    page = sheet([Row("", [Cell(RED), Cell(blue)])], cell=40)
    assert (page[MARGIN : MARGIN + 30, MARGIN : MARGIN + 40] == (200, 0, 0)).all()
    assert (page[MARGIN : MARGIN + 60, MARGIN + 40 + GAP : MARGIN + 80 + GAP] == (0, 0, 200)).all()
    shown = (page != PAGE).any(axis=2)
    assert shown.sum() == 30 * 40 + 60 * 40


def test_rows_without_cells_take_no_room() -> None:
    row = Row("seen", [Cell(RED, "x")])
    assert (sheet([Row("none", []), row, Row("none", [])]) == sheet([row])).all()
    assert sheet([], "empty").ndim == 3


@pytest.mark.parametrize("text", ["Größe_é", "欠陥 012", "tab\tnewline\n", "\x00", "🙂", ""])
def test_any_caption_is_written_without_a_crash(text: str) -> None:
    assert ascii_text(text).isascii()
    assert ascii_text(text).isprintable()
    assert len(ascii_text(text)) == len(text)
    assert sheet([Row(text, [Cell(RED, text)])], text, key=Cell(RED, text)).shape[2] == 3


def test_long_captions_stay_under_their_picture() -> None:
    long = sheet([Row("", [Cell(RED, "w" * 300), Cell(RED)])], cell=100)
    strip = (long[MARGIN + 75 :] != PAGE).any(axis=2)
    assert strip[:, MARGIN : MARGIN + 100].any()
    assert not strip[:, MARGIN + 100 :].any()


def test_fit_keeps_proportions_and_leaves_what_fits() -> None:
    assert fit(RED, 40) is RED
    assert fit(RED, 100).shape == (75, 100, 3)
    assert fit(np.zeros((7, 1000), np.uint8), 10).shape == (1, 10, 3)
    assert (fit(np.full((4, 4), 9, np.uint8), 8) == 9).all()


def test_saved_picture_reads_back_and_a_failure_leaves_the_old_one(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 8, 3), np.uint8)
    path = tmp_path / "Ordner ü" / "sheet.png"
    save(path, image)
    old = path.read_bytes()
    read = cv2.imdecode(np.frombuffer(old, np.uint8), cv2.IMREAD_COLOR)
    assert (read[..., ::-1] == image).all()
    with pytest.raises(cv2.error):
        save(path, np.zeros((0, 0, 3), np.uint8))
    assert path.read_bytes() == old
    assert os.listdir(path.parent) == ["sheet.png"]


def test_a_failed_move_leaves_nothing_beside(tmp_path: Path) -> None:
    (tmp_path / "sheet.png").mkdir()
    with pytest.raises(OSError, match="sheet"):
        save(tmp_path / "sheet.png", RED)
    assert os.listdir(tmp_path) == ["sheet.png"]
