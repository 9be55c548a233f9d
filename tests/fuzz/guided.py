"""The same targets under atheris, which follows the branches of Python that an input takes (`pip install .[fuzz]`).

    python tests/fuzz/guided.py TARGET -runs=100000 [any option of libFuzzer]

It begins from the valid files of seeds.py. A finding is left as a file crash-..., and the exit code is not 0 then.
"""

import json
import sys
import tempfile
from pathlib import Path
from random import Random

import atheris

with atheris.instrument_imports(include=["protores"]):
    import targets

import mutation
import seeds


def grown(data: bytes, most: int, seed: int) -> bytes:
    """A new input from an old one: JSON with a value changed, so that it is JSON still; else as libFuzzer does it."""
    rng = Random(seed)
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        values = None
    if isinstance(values, dict) and values and rng.random() < 0.8:
        return mutation.edited(rng, values)[:most]
    return atheris.Mutate(data, most)


def main() -> None:
    name = sys.argv.pop(1)
    target = targets.TARGETS[name]
    with tempfile.TemporaryDirectory() as corpus:
        valid = getattr(seeds, "images" if name == "image" else name)()
        files = valid if name == "image" else (json.dumps(valid).encode(),)
        for number, data in enumerate(files):
            (Path(corpus) / str(number)).write_bytes(data)
        atheris.Setup([*sys.argv, corpus], lambda data: target(data) and None, custom_mutator=grown)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
