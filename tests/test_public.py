"""The names that users import, and that importing them is cheap."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import protores
from protores import errors, workflow
from protores.decision import calibration
from protores.labels import importing
from protores.runtime import inspector, verify

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "lightning", "timm", "cv2", "sklearn", "numpy")


def test_public_names():
    assert protores.__all__ == [
        "Inspector", "ProtoresError", "__version__", "calibrate", "check", "demo", "evaluate", "export",
        "import_masks", "predict", "preview", "train", "verify",
    ]  # fmt: skip
    assert set(protores.__all__) <= set(dir(protores))


def test_functions_are_those_of_the_workflow():
    for name in ("check", "demo", "evaluate", "export", "predict", "preview", "train"):
        assert getattr(protores, name) is getattr(workflow, name)
    assert protores.ProtoresError is errors.ProtoresError
    assert protores.Inspector is inspector.Inspector
    assert protores.verify is verify.verify
    assert protores.calibrate is calibration.calibrate
    assert protores.import_masks is importing.import_masks


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        _ = protores.nonsense


def test_version_is_the_distributions():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == protores.__version__


def test_no_public_name_is_a_module():
    """A subpackage of the same name would take the function's place once it is imported."""
    folder = Path(protores.__file__).parent
    modules = {path.stem for path in folder.iterdir()}
    assert not modules & set(protores.__all__)


def test_every_error_is_exported_by_its_tree():
    classes = [c for c in vars(errors).values() if isinstance(c, type)]
    assert all(issubclass(c, protores.ProtoresError) for c in classes)
    assert all(c.__name__ in (errors.__doc__ or "") for c in classes)


HELP = """
import sys, protores.cli
sys.argv = ["protores", *{words}]
try:
    protores.cli.main()
except SystemExit as end:
    assert not end.code, end.code
"""


@pytest.mark.parametrize(
    "code", ["import protores", HELP.format(words=["--help"]), HELP.format(words=["train", "--help"])]
)
def test_import_and_help_load_nothing_heavy(code):
    """This is why --help answers at once."""
    code += f"\nimport sys; loaded = [m for m in {HEAVY} if m in sys.modules]; assert not loaded, loaded"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
