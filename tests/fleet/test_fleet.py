"""What is finished stays, what failed is told, what was cut off goes on: with a stand-in for the training itself."""

import functools
import itertools
import json
import os
import signal
from pathlib import Path

import pytest

from protores.cli import main
from protores.errors import DataError, RunError, SettingsError
from protores.fleet.fleet import fleet
from protores.lock import lock
from protores.progress import Progress


class Told(Progress):
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.tracks: list[tuple[float, float, str]] = []

    def note(self, message: str) -> None:
        self.notes.append(message)

    def track(self, what: str, done: float, total: float, detail: str = "") -> None:
        self.tracks.append((done, total, detail))


ROWS = [{"product": "lid", "data": "images", "seed": "0 1"}, {"product": "ring", "data": "images", "seed": "0"}]
ALL = [("lid", 0), ("ring", 0), ("lid", 1)]


@pytest.fixture
def table(write_table, product) -> Path:
    return write_table(ROWS)


def files(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_all_rows_come_out(table, tmp_path, trained):
    told = Told()
    summary = fleet(table, tmp_path / "out", progress=told)
    assert trained.rows == ALL
    assert len(summary.finished) == 3
    assert told.tracks[-1] == (3, 3, "3 of 3")
    assert {"fleet.json", "fleet.csv", "overview.html"} <= {path.name for path in (tmp_path / "out").iterdir()}
    written = json.loads((tmp_path / "out" / "fleet.json").read_text())
    assert [p["product"] for p in written["products"]] == ["ring", "lid"]
    folder = tmp_path / "out" / written["products"][1]["rows"][1]["folder"]
    assert json.loads((folder / "row.json").read_text())["seed"] == 1
    assert json.loads((folder / "outcome.json").read_text())["figures"]["image_auroc"] == 0.91


def test_what_is_finished_is_not_done_again(table, tmp_path, trained):
    fleet(table, tmp_path / "out")
    told = Told()
    summary = fleet(table, tmp_path / "out", progress=told)
    assert trained.rows == ALL
    assert len(summary.finished) == 3
    assert told.notes == ["3 of 3 trainings are finished already"]


def test_a_failed_row_is_tried_three_times_and_told_while_others_go_on(table, tmp_path, trained):
    trained.fails["lid"] = DataError("1.png: cannot be read; remove it")
    told = Told()
    summary = fleet(table, tmp_path / "out", progress=told)
    assert trained.rows == [("lid", 0)] * 3 + [("ring", 0)] + [("lid", 1)] * 3
    assert [entry.row.name for entry in summary.finished] == ["ring, seed 0"]
    assert {entry.failure for entry in summary.failed} == {"1.png: cannot be read; remove it"}
    assert "failed: lid, seed 0: 1.png: cannot be read; remove it" in told.notes
    assert told.tracks[-1] == (3, 3, "3 of 3, 2 failed")
    errors = (tmp_path / "out" / summary.failed[0].folder / "errors.txt").read_text()
    assert errors.count("Traceback (most recent call last)") == 3
    trained.fails.clear()
    assert len(fleet(table, tmp_path / "out").finished) == 3
    assert trained.rows[-2:] == [("lid", 0), ("lid", 1)]


def test_what_is_no_fault_of_the_input_is_told_by_its_name(table, tmp_path, trained):
    trained.fails["ring"] = ZeroDivisionError("by\nzero")
    failure = fleet(table, tmp_path / "out").failed[0].failure
    assert failure == "ZeroDivisionError: by zero; errors.txt in its folder has all of it"


def test_stopped_it_goes_on_from_there(table, tmp_path, trained):
    trained.stops_at = "ring"
    with pytest.raises(KeyboardInterrupt):
        fleet(table, tmp_path / "out")
    written = json.loads((tmp_path / "out" / "fleet.json").read_text())
    assert [len([r for r in p["rows"] if r["outcome"]]) for p in written["products"]] == [0, 1]
    trained.stops_at = None
    assert len(fleet(table, tmp_path / "out").finished) == 3
    assert trained.rows == ALL


def test_killed_at_any_write_it_leaves_whole_files_and_goes_on(write_table, product, tmp_path, trained, monkeypatch):
    table = write_table([{"product": "lid", "data": "images", "seed": "0 1"}])
    replace, writes = os.replace, itertools.count(1)

    def kill_at(last: int, source: Path, target: Path) -> None:
        if next(writes) == last:
            os.kill(os.getpid(), signal.SIGKILL)  # what was written lies beside the file
        replace(source, target)

    for last in itertools.count(1):
        out = tmp_path / f"out{last}"
        pid = os.fork()
        if not pid:
            try:
                os.replace = functools.partial(kill_at, last)
                fleet(table, out)
            finally:
                os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0:
            break
        for path in out.rglob("*.json"):
            json.loads(path.read_text())
        assert all(path.read_text().endswith("</html>") for path in out.glob("*.html"))
        kept = len(list(out.rglob("outcome.json")))
        trained.rows.clear()
        assert len(fleet(table, out).finished) == 2
        assert len(trained.rows) == 2 - kept
    assert last == 14, "two rows asked for, two finished, and three files after each and at the end"


def test_a_changed_row_is_another_and_the_old_one_stays(write_table, table, tmp_path, trained):
    fleet(table, tmp_path / "out")
    before = files(tmp_path / "out" / "rows")
    write_table([{**ROWS[0], "split.seen": "3"}, ROWS[1]])
    summary = fleet(table, tmp_path / "out")
    assert trained.rows[len(ALL) :] == [("lid", 0), ("lid", 1)]
    assert [entry.row.overrides for entry in summary.products[-1].entries] == [{"split.seen": 3}] * 2
    assert before.items() <= files(tmp_path / "out" / "rows").items()
    write_table(ROWS)
    assert len(fleet(table, tmp_path / "out").finished) == 3
    assert len(trained.rows) == len(ALL) + 2


def test_a_wrong_table_begins_nothing(write_table, product, tmp_path, trained):
    table = write_table([*ROWS, {"product": "cap", "data": "elsewhere"}])
    with pytest.raises(SettingsError, match="row 4"):
        fleet(table, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert trained.rows == []


def test_a_share_that_no_machine_has_begins_nothing(table, tmp_path, trained):
    with pytest.raises(SettingsError, match="no machine of the cluster has 2 CPUs"):
        fleet(table, tmp_path / "out", cpus=2)
    assert trained.rows == []


def test_a_folder_of_something_else_is_refused(table, tmp_path, trained):
    with pytest.raises(RunError, match="holds something else; pass another --out"):
        fleet(table, tmp_path / "images")
    assert trained.rows == []


def test_two_fleets_in_one_folder_are_refused(table, tmp_path, trained):
    fleet(table, tmp_path / "out")
    held = lock(tmp_path / "out" / "lock", RunError(""))
    with pytest.raises(RunError, match="another fleet works in .*; wait for it"):
        fleet(table, tmp_path / "out")
    held.close()
    fleet(table, tmp_path / "out")


def test_a_machine_without_the_folder_says_so(table, tmp_path, trained, monkeypatch):
    from protores.fleet.row import RowFolder

    monkeypatch.setattr(RowFolder, "ask", lambda self, row: None)
    summary = fleet(table, tmp_path / "out")
    assert len(summary.failed) == 3
    assert "is not on this machine; pass an --out that all machines share" in summary.failed[0].failure


def test_command(table, tmp_path, trained, monkeypatch, capsys):
    out = tmp_path / "out"
    trained.fails["ring"] = DataError("1.png: cannot be read; remove it")
    monkeypatch.setattr("sys.argv", ["protores", "fleet", os.fspath(table), "--out", os.fspath(out)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    told = capsys.readouterr()
    assert told.out.splitlines()[-2:] == [
        "failed: ring, seed 0: 1.png: cannot be read; remove it",
        f"overview  {out / 'overview.html'}",
    ]
    trained.fails.clear()
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    table.write_text("product,data\nlid,elsewhere\n")
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"protores: {table}, row 2: ")
