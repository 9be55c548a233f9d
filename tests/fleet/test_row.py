"""The files of a row: read as they were written, or said in one line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protores.errors import RunError
from protores.fleet.row import Outcome, Row, RowFolder

ROW = Row("Gehäuse", 3, Path("/images"), None, {"data.size": [64, 64], "data.add": ["/a,b"]}, 100)
OUTCOME = Outcome({"pro": None, "image_auroc": 0.1 + 0.2}, 100, 2.5, "node", "2026-01-01T00:00:00+00:00")


def test_what_was_asked_and_what_came_of_it_are_read_again(tmp_path):
    folder = ROW.folder(tmp_path)
    folder.ask(ROW)
    assert folder.asked() == ROW
    assert folder.outcome() is None
    folder.finish(OUTCOME)
    assert folder.outcome() == OUTCOME
    assert folder.path.parent == tmp_path / "rows" / "Gehäuse"


def test_a_machine_that_does_not_see_the_folder(tmp_path):
    with pytest.raises(RunError, match="is not on this machine; pass an --out that all machines share"):
        ROW.folder(tmp_path).asked()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"figures": {}}', "{" * 10_000])
def test_a_damaged_outcome(tmp_path, content):
    (tmp_path / "outcome.json").write_text(content)
    with pytest.raises(RunError, match="outcome.json is damaged; delete it"):
        RowFolder(tmp_path).outcome()


def test_how_far_it_is_by_its_history(tmp_path):
    folder = RowFolder(tmp_path)
    assert folder.share_trained(100) == 0
    folder.run.mkdir()
    (folder.run / "history.csv").write_text("step,loss\n10,1\n20,1\n")
    assert folder.share_trained(100) == 0.2
    assert folder.share_trained(10) == 0.99


@given(content=st.binary(max_size=100))
def test_a_history_that_is_being_written(content, tmp_path_factory):
    folder = RowFolder(tmp_path_factory.getbasetemp() / "history")
    folder.run.mkdir(parents=True, exist_ok=True)
    (folder.run / "history.csv").write_bytes(b"step,loss\n" + content)
    assert 0 <= folder.share_trained(100) < 1
