"""What Ray's own thread prints is not heard, and a machine without Ray is told what to install."""

import io
import sys
import threading
from contextlib import redirect_stdout

import pytest

from protores.cli import main
from protores.cluster import _Heard


def test_only_what_ray_itself_prints_is_dropped():
    stream = io.StringIO()
    with redirect_stdout(_Heard(stream)):
        print("ours")
        for name in ("ray_listen_error_messages", "another"):
            thread = threading.Thread(target=print, args=(name,), name=name)
            thread.start()
            thread.join()
        sys.stdout.flush()
    assert stream.getvalue() == "ours\nanother\n"


def test_without_the_extra_it_is_named(monkeypatch, tmp_path, capsys):
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "1.png").touch()
    (tmp_path / "parts.csv").write_text("product,data\nlid,.\n")
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr("sys.argv", ["protores", "fleet", f"{tmp_path}/parts.csv", "--out", f"{tmp_path}/out"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith("ray is not installed; pip install 'protores[ray]'")
    assert not list((tmp_path / "out").rglob("row.json"))
