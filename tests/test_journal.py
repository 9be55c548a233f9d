"""Lines survive a cut anywhere."""

import json
import resource

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protores.journal import Journal

LINES = [{"n": n, "text": "größe\n" * n} for n in range(4)]


def keep(line) -> bool:
    return True


def test_what_is_appended_is_there_at_once_and_read_again(tmp_path):
    journal = Journal(tmp_path / "lines", keep)
    for count, line in enumerate(LINES, start=1):
        journal.append(line)
        assert [json.loads(text) for text in (tmp_path / "lines").read_bytes().splitlines()] == LINES[:count]
    assert Journal(tmp_path / "lines", keep).lines == journal.lines == LINES


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10_000))
def test_cut_anywhere_the_whole_lines_stay(tmp_path, at):
    path = tmp_path / "lines"
    path.unlink(missing_ok=True)
    journal = Journal(path, keep)
    for line in LINES:
        journal.append(line)
    data = path.read_bytes()
    cut = data[: at % (len(data) + 1)]
    path.write_bytes(cut)
    kept = LINES[: cut.count(b"\n")]
    assert Journal(path, keep).lines == kept
    assert path.read_bytes() == b"".join(data.splitlines(keepends=True)[: len(kept)])


@pytest.mark.parametrize("wrong", [b"no json\n", b"[1]\n", b"\xff\n", b"\n"])
def test_what_is_no_line_goes(tmp_path, wrong):
    (tmp_path / "lines").write_bytes(b'{"n": 1}\n' + wrong + b'{"n": 2}\n')
    assert Journal(tmp_path / "lines", keep).lines == [{"n": 1}, {"n": 2}]


def test_lines_not_to_be_kept_go_from_the_file(tmp_path):
    journal = Journal(tmp_path / "lines", keep)
    for line in LINES:
        journal.append(line)
    assert Journal(tmp_path / "lines", lambda line: line["n"] % 2 == 1).lines == LINES[1::2]
    assert Journal(tmp_path / "lines", keep).lines == LINES[1::2]
    assert [path.name for path in tmp_path.iterdir()] == ["lines"]


def test_a_line_that_finds_no_room_is_an_error_and_leaves_the_lines_before_it(tmp_path):
    """The system first takes the part that fits, and only refuses the next."""
    path = tmp_path / "lines"
    journal = Journal(path, keep)
    journal.append(LINES[0])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            journal.append(LINES[3])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert journal.lines == LINES[:1]
    assert Journal(path, keep).lines == LINES[:1]
