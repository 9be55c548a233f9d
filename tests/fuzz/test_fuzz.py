"""A few hundred inputs of each kind in every run of the suite; benchmarks/fuzz.py tries 100,000 of each.

An input that takes too long ends the process that runs the test.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import mutation
import pytest
import seeds
import targets
from hypothesis import HealthCheck, given, settings
from limits import GROWTH, in_time, resident

BRIEF = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("name", targets.TARGETS)
def test_any_file_is_taken_or_refused_in_one_line(name: str):
    @BRIEF
    @given(mutation.CHANCE)
    def run(chance: mutation.Drawn) -> None:
        with in_time():
            targets.TARGETS[name](mutation.mutated(chance, name))

    run()


@pytest.mark.parametrize("name", targets.TARGETS)
def test_more_of_them_by_plain_chance(name: str):
    rng, taken = Random(0), 0
    before = resident()
    for _ in range(1000):
        with in_time():
            taken += targets.TARGETS[name](mutation.mutated(rng, name))
    assert 5 < taken < 995, "nearly right is neither right nor wrong throughout"
    assert resident() - before < GROWTH


@pytest.mark.parametrize("name", targets.TARGETS)
def test_valid_files_are_taken(name: str):
    """Else the others would all be refused at the door."""
    if name == "image":
        assert all(map(targets.image, seeds.images()))
    else:
        assert targets.TARGETS[name](json.dumps(getattr(seeds, name)()).encode())


@pytest.mark.skipif(not importlib.util.find_spec("atheris"), reason="atheris is not installed")
@pytest.mark.parametrize("name", targets.TARGETS)
def test_guided_by_the_branches_taken(name: str, tmp_path: Path):
    script = Path(__file__).parent / "guided.py"
    command = [sys.executable, script, name, "-runs=1000", "-seed=1", "-timeout=60", "-rss_limit_mb=4096"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done 1000 runs" in done.stderr
