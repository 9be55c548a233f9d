"""A kill, a full disk, a read-only folder, a broken disk, a vanished file, in the midst of each command that writes.

A few of each here; `pytest -m long` and benchmarks/faults.py walk over every step. docs/reliability.md has the outcome.
"""

import errno
import os
import random
import shutil
import subprocess
import sys

import pytest
from scenarios import SCENARIOS, Scenario, run_result
from steps import Act, Fault
from trial import KILLED, Place, first_of_each, picked

KINDS = {
    "killed": lambda fault: fault.act == Act.KILL,
    "torn": lambda fault: fault.act == Act.TEAR,
    "full": lambda fault: fault.error == errno.ENOSPC,
    "read-only": lambda fault: fault.error == errno.EROFS,
    "broken": lambda fault: fault.error == errno.EIO,
    "vanished": lambda fault: fault.error == errno.ENOENT,
}
BRIEF = [scenario for scenario in SCENARIOS if scenario.name not in ("train with a worker", "export --format openvino")]


def named(scenario: Scenario) -> str:
    return scenario.name


@pytest.mark.parametrize("scenario", BRIEF, ids=named)
def test_a_fault_anywhere_leaves_the_old_state_or_the_new_one(scenario, material, commands, tmp_path):
    place = Place.survey(scenario, material, tmp_path / "place", commands)
    faults, rng = list(place.faults()), random.Random(scenario.name)
    for kind in KINDS.values():
        if some := [fault for fault in faults if kind(fault)]:
            place.try_fault(rng.choice(some))


@pytest.mark.long
@pytest.mark.parametrize("scenario", SCENARIOS, ids=named)
def test_a_fault_at_every_step(scenario, material, commands, tmp_path):
    place = Place.survey(scenario, material, tmp_path / "place", commands)
    for fault in place.faults():
        place.try_fault(fault)


def test_the_harness_strikes_where_it_is_told_to(material, commands, tmp_path):
    """Else it would prove nothing: the files are there up to the step, and no further."""
    report = next(scenario for scenario in SCENARIOS if scenario.name == "report")
    place = Place.survey(report, material, tmp_path / "place", commands)
    steps = list(place.changes)
    renamed = steps.index("rename report.html") + 1
    written = steps.index("write report.html.part") + 1
    part = place.folder / "report.html.part"
    assert place.begin(Fault(place.folder, Act.KILL, renamed)).code == KILLED
    size = part.stat().st_size
    assert (place.folder / "report.html").read_text() == "old"
    assert place.begin(Fault(place.folder, Act.TEAR, written)).code == KILLED
    assert 0 < part.stat().st_size < size
    assert place.begin(Fault(place.folder, Act.KILL, written)).code == KILLED
    assert part.stat().st_size == 0
    outcome = place.begin(Fault(place.folder, Act.FAIL_ON, written, errno.ENOSPC))
    assert outcome.told == [f"protores: the disk of {place.folder} is full; free some space and try again"]
    assert not part.exists()


def test_which_steps_are_tried():
    steps = ["a", "w", "w", "w", "w", "b", "a"]
    assert picked(steps) == [1, 2, 3, 5, 6, 7]
    assert first_of_each(steps) == [1, 2, 6]


# Real disks, in a name space of one's own for mounts


@pytest.fixture
def mounted(tmp_path):
    """mounted(script): runs a shell script as root of a name space, where $PLACE is a file system of 1 MiB."""
    place = tmp_path / "disk"
    place.mkdir()

    settings = {"PLACE": str(place), "PROTORES": f"{sys.executable} -m protores.cli", "OMP_NUM_THREADS": "1"}

    def run(script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["unshare", "--map-root-user", "--mount", "sh", "-c", f'mount -t tmpfs -o size=1m none "$PLACE"\n{script}'],
            env=os.environ | settings,
            capture_output=True,
            text=True,
        )

    if shutil.which("unshare") is None or run("true").returncode:
        pytest.skip("mounting is not allowed here; the faults above are played")
    return run


def test_a_disk_that_is_really_full(mounted, material, tmp_path):
    """The training stops where its first checkpoint does not fit, and goes on once there is room."""
    script = """
    train() { $PROTORES train "$@" --resume; }
    train "$@" && exit 1
    find $PLACE -name '*.part' | grep . && exit 1
    mount -o remount,size=1g $PLACE
    train "$@" || exit 1
    cp -r $PLACE/run $KEPT
    """
    words = ["train", material.data, "--out", tmp_path / "disk" / "run", *material.train_words]
    quoted = " ".join(f"'{word}'" for word in words[1:])
    done = mounted(f"KEPT='{tmp_path / 'run'}'\nset -- {quoted}\n{script}")
    assert done.returncode == 0, done.stderr[-2000:]
    told = [line for line in done.stderr.splitlines() if line.startswith("protores: ")]
    assert told == [
        f"protores: the disk of {tmp_path / 'disk' / 'run'} is full; free some space and go on with --resume"
    ]
    shutil.copytree(material.run, tmp_path / "whole" / "run")
    assert run_result(tmp_path) == run_result(tmp_path / "whole")


def test_a_folder_that_is_really_read_only(mounted, material, tmp_path):
    disk = tmp_path / "disk"
    done = mounted(f"""
    mount -o remount,ro "$PLACE"
    $PROTORES predict '{material.bundle}' '{material.data / "test"}' --out "$PLACE/found"
    """)
    assert done.returncode == 2
    told = f"protores: {disk / 'found'}: Read-only file system; check the path and its permissions"
    assert done.stderr.splitlines()[-1] == told
