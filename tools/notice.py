"""Writes NOTICE: the licence of every package that protores installs, by what the installed packages say themselves.

    python tools/notice.py            # in an environment with all extras; rewrites NOTICE
    python tools/notice.py --check    # only tells what is missing, or under a licence that the project refuses
"""

import re
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
NOTICE = ROOT / "NOTICE"
SHIPPED = ("train", "openvino", "export", "station", "ray")
"""Extras for users. `peers` is for one benchmark, by hand."""
DEVELOPMENT = ("dev", "fuzz")
BY_THEIR_FILES = {"atheris": "Apache-2.0", "cuda-toolkit": "LicenseRef-NVIDIA-Proprietary"}
"""Packages whose metadata says nothing, and what their files or their makers say."""
REFUSED = re.compile(r"(?<!L)(?<!Lesser )\b(A?GPL|(GNU )?(Affero )?General Public)", re.IGNORECASE)
HEAD = """\
protores
Copyright the authors of protores

Licensed under the Apache License, Version 2.0 (see LICENSE).

None of the packages below is part of this repository: pip installs them, each under its own licence, as its metadata
states it. The list is what Linux on x86-64 gets; elsewhere there are fewer. constraints.txt has the versions. NVIDIA's
libraries come with torch's builds for GPUs, and a CPU build of torch does without them. A wheel may hold further
libraries under licences of their own, which its own files tell. No package is under the GPL or the AGPL
(tests/test_notice.py). Written by tools/notice.py.
"""


@dataclass(frozen=True, order=True)
class Package:
    """A package and its licence; "" where its metadata says nothing."""

    name: str
    licence: str

    def __str__(self) -> str:
        return f"{self.name}: {self.licence or 'not stated'}"


def packages(extras: Iterable[str]) -> list[Package]:
    """protores' dependencies with these extras, and theirs, as far as they are installed; sorted, without protores."""
    found: dict[str, Package] = {}
    waiting = [Requirement(f"protores[{','.join(extras)}]")]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        asked = waiting.pop()
        name, wanted = canonicalize_name(asked.name), frozenset(asked.extras)
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        if name == "protores":
            waiting += own_requirements(wanted)
            continue
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            continue
        found[name] = Package(name, licence_of(installed) or BY_THEIR_FILES.get(name, ""))
        for one in map(Requirement, installed.requires or []):
            if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in wanted | {""}):
                waiting.append(one)
    return sorted(found.values())


def own_requirements(extras: Iterable[str]) -> list[Requirement]:
    """What pyproject.toml asks for with these extras, whatever an older installation says."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    optional = project["optional-dependencies"]
    return [Requirement(text) for text in (*project["dependencies"], *(t for e in extras for t in optional[e]))]


def licence_of(installed: Distribution) -> str:
    """What the metadata says: the expression, else the classifiers, else the first line of the licence's text."""
    metadata = installed.metadata
    if expression := metadata.get("License-Expression"):
        return expression
    classifiers = [c.split("::")[-1].strip() for c in metadata.get_all("Classifier", []) if c.startswith("License ::")]
    text = (metadata.get("License") or "").strip().splitlines()
    return " OR ".join(classifiers) or (text[0].removeprefix("OSI Approved :: ") if text else "")


def refused(found: Iterable[Package]) -> list[Package]:
    """Those under the GPL or AGPL, the LGPL aside, with no other licence to choose."""
    return [package for package in found if all(map(REFUSED.search, re.split(r"\bOR\b", package.licence)))]


def text() -> str:
    """The whole NOTICE."""
    shipped = packages(SHIPPED)
    developed = [p for p in packages((*SHIPPED, *DEVELOPMENT)) if p not in shipped]
    parts = (("Used by protores and its extras", shipped), ("Used to develop it only", developed))
    return HEAD + "".join(f"\n{title}\n\n" + "".join(f"    {p}\n" for p in found) for title, found in parts)


def main() -> None:
    found = packages((*SHIPPED, *DEVELOPMENT))
    if bad := refused(found):
        sys.exit(f"refused: {', '.join(map(str, bad))}; replace them")
    if "--check" not in sys.argv:
        NOTICE.write_text(text(), encoding="utf-8")
        return
    listed = NOTICE.read_text(encoding="utf-8")
    if missing := [str(p) for p in found if f"    {p}\n" not in listed]:
        sys.exit(f"NOTICE lacks {', '.join(missing)}; run python tools/notice.py")


if __name__ == "__main__":
    main()
