"""Files that are whole or not there: what a kill, a power failure and a full disk may leave."""

import errno
import os
from pathlib import Path

import pytest

from protores.errors import RunError
from protores.files import allocate, whole_folder, write_whole, writing


@pytest.fixture
def order(monkeypatch) -> list[str]:
    """The names of files that are synced, and of what is renamed, as it happens."""
    done: list[str] = []
    sync, replace = os.fsync, os.replace

    def fsync(handle: int) -> None:
        done.append(f"sync {os.path.basename(os.readlink(f'/proc/self/fd/{handle}'))}")
        sync(handle)

    def replacing(part: Path, path: Path) -> None:
        done.append(f"rename {path.name}")
        replace(part, path)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replacing)
    return done


def test_content_is_on_the_disk_before_it_has_its_name(tmp_path, order):
    """Power may fail between the two: then the name would be there, and nothing in the file."""
    write_whole(tmp_path / "a", b"new")
    assert order == ["sync a.part", "rename a"]
    assert (tmp_path / "a").read_bytes() == b"new"


def test_all_of_a_folder_is_on_the_disk_before_it_has_its_name(tmp_path, order):
    with whole_folder(tmp_path / "folder") as part:
        (part / "deep").mkdir()
        for name in ("a", "deep/b"):
            (part / name).write_bytes(b"x")
        assert order == []
    assert sorted(order[:2]) == ["sync a", "sync b"]
    assert order[2:] == ["rename folder"]


def test_where_tidying_fails_too_the_first_error_is_told(tmp_path, monkeypatch):
    def refuse(code: int):
        def raising(*args, **kwargs):
            raise OSError(code, os.strerror(code))

        return raising

    monkeypatch.setattr(os, "replace", refuse(errno.ENOSPC))
    monkeypatch.setattr(Path, "unlink", refuse(errno.EROFS))
    with pytest.raises(OSError, match="No space left"):
        write_whole(tmp_path / "a", b"new")


def test_room_for_a_mapped_file_is_taken_at_once(tmp_path):
    """A file with holes that finds the disk full is a bus error later."""
    allocate(tmp_path / "a", 1 << 20)
    found = (tmp_path / "a").stat()
    assert found.st_size == 1 << 20
    assert found.st_blocks * 512 >= 1 << 20
    with pytest.raises(OSError, match=r"No space left|File too large"):
        allocate(tmp_path / "b", 1 << 60)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_and_a_used_up_quota_are_the_same_to_the_user(tmp_path, code):
    with pytest.raises(RunError, match="is full; free some space and try again"), writing(tmp_path):
        raise OSError(code, os.strerror(code))
