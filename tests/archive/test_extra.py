"""Nothing but archives and fleets needs the extra `ray`: everything else works on one machine without it."""

import ast
from pathlib import Path

import protores

SOURCE = Path(protores.__file__).parent
OF_THE_EXTRA = {"ray", "pyarrow", "fsspec"}


def imported_at_once(path: Path) -> set[str]:
    """The modules that a file imports when it is imported."""
    names: set[str] = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_no_other_module_imports_what_the_extra_brings():
    found = {}
    for path in SOURCE.rglob("*.py"):
        names = imported_at_once(path)
        if path.relative_to(SOURCE).parts[0] in ("archive", "fleet"):
            continue
        needed = {name for name in names if name.split(".")[0] in OF_THE_EXTRA}
        needed |= {name for name in names if name.startswith(("protores.archive", "protores.fleet"))}
        if needed:
            found[path.name] = needed
    assert not found


def test_archives_do():
    assert {name.split(".")[0] for name in imported_at_once(SOURCE / "archive" / "scoring.py")} & OF_THE_EXTRA
