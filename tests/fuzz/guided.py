"""The same targets under atheris, which follows the branches of Python that an input takes (`pip install .[fuzz]`).

    python tests/fuzz/guided.py TARGET -runs=100000 [any option of libFuzzer]

It begins from the valid files of seeds.py. What it finds it leaves as a file crash-... and ends with another code than 0.
"""

import json
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["protores"]):
    import targets

import seeds


def main() -> None:
    name = sys.argv.pop(1)
    target = targets.TARGETS[name]
    with tempfile.TemporaryDirectory() as corpus:
        valid = getattr(seeds, "images" if name == "image" else name)()
        files = valid if name == "image" else (json.dumps(valid).encode(),)
        for number, data in enumerate(files):
            (Path(corpus) / str(number)).write_bytes(data)
        atheris.Setup([*sys.argv, corpus], lambda data: target(data) and None)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
