"""Licences of all that is installed with protores are in NOTICE, and none is the GPL or AGPL."""

import importlib.util
from email.message import Message
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def notice() -> ModuleType:
    """tools/notice.py."""
    spec = importlib.util.spec_from_file_location("notice", ROOT / "tools" / "notice.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_dependency_is_under_the_gpl(notice: ModuleType):
    found = notice.packages((*notice.SHIPPED, *notice.DEVELOPMENT))
    assert {"numpy", "torch", "openvino", "onnxruntime", "pytest"} <= {package.name for package in found}
    assert notice.refused(found) == []
    assert [package.name for package in found if not package.licence] == []


def test_every_dependency_is_listed_with_its_licence(notice: ModuleType):
    listed = (ROOT / "NOTICE").read_text(encoding="utf-8")
    missing = [
        str(package)
        for package in notice.packages((*notice.SHIPPED, *notice.DEVELOPMENT))
        if f"    {package}\n" not in listed
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("licence", "is_refused"),
    [
        ("GPL-3.0-only", True),
        ("AGPL-3.0-or-later", True),
        ("GNU General Public License v3 (GPLv3)", True),
        ("GNU Affero General Public License v3", True),
        ("MIT AND GPL-2.0", True),
        ("GPL-2.0 OR MIT", False),
        ("LGPL-3.0", False),
        ("GNU Lesser General Public License v3 (LGPLv3)", False),
        ("MIT", False),
        ("Apache Software License", False),
        ("", False),
    ],
)
def test_what_is_refused(notice: ModuleType, licence: str, is_refused: bool):
    assert bool(notice.refused([notice.Package("x", licence)])) is is_refused


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        ([("License-Expression", "MIT"), ("License", "no")], "MIT"),
        ([("Classifier", "License :: OSI Approved :: BSD License"), ("License", "long text")], "BSD License"),
        ([("License", "OSI Approved :: Apache Software License\nand more")], "Apache Software License"),
        ([], ""),
    ],
)
def test_where_the_licence_is_read(notice: ModuleType, fields: list[tuple[str, str]], licence: str):
    metadata = Message()
    for name, value in fields:
        metadata[name] = value
    assert notice.licence_of(SimpleNamespace(metadata=metadata)) == licence
