"""What the user names becomes a list of images: each once, in order, none of the litter."""

from pathlib import Path

import pytest

from protores.data.folders import find_images
from protores.errors import DataError

FILES = ("a/2.png", "a/1.PNG", "a/deep/1.tif", "a/Thumbs.db", "a/.1.png", "b/1.jpg", "b/[x].png", "b/text.txt")


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["a"], {"a/1.PNG": "1", "a/2.png": "2", "a/deep/1.tif": "deep/1"}),
        (["a/2.png", "a", "a/2.png"], {"a/2.png": "2", "a/1.PNG": "1", "a/deep/1.tif": "deep/1"}),
        (["b/text.txt"], {"b/text.txt": "text"}),  # named by the user: an error of its own later, not left out
        (["*/1.*"], {"a/1.PNG": "1", "b/1.jpg": "1"}),
        (["**/1.*"], {"a/1.PNG": "1", "a/deep/1.tif": "1", "b/1.jpg": "1"}),
        (["b/*"], {"b/1.jpg": "1", "b/[x].png": "[x]"}),
        (["b/[x].png"], {"b/[x].png": "[x]"}),  # a file of that name comes before the pattern
        (["a/[12].png"], {"a/2.png": "2"}),
    ],
)
def test_files_folders_and_patterns(root, sources, expected):
    found = find_images(sources)
    assert {path.as_posix(): name for path, name in found.items()} == expected
    assert list(map(Path.as_posix, found)) == list(expected)
    assert find_images([root / source for source in sources]) == {root / path: name for path, name in found.items()}


@pytest.mark.parametrize("source", ["nowhere", "nowhere.png", "a/*.bmp", "c", "a/deep/*.png"])
def test_nothing_there_is_told(root, source):
    (root / "c").mkdir()
    with pytest.raises(DataError, match=r"check the path|no images; name image files, or folders or patterns"):
        find_images(["a", source])
