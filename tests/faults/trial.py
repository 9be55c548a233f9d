"""One fault in one command: what has to hold afterwards, whatever the fault and wherever it struck."""

import errno
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from scenarios import NEW, OLD, Material, Scenario
from steps import Act, Commands, Fault, Outcome

SAID = {
    errno.ENOSPC: "is full; ",
    errno.EROFS: "Read-only file system",
    errno.EIO: "Input/output error",
    errno.ENOENT: "No such file",
}
"""What of an error has to be said to the user, beside the cure."""
SQLITE = "station.db cannot be used ("
"""SQLite has words of its own for them."""
KILLED = -9


@dataclass(frozen=True)
class Place:
    """The folder of a scenario's trials, one after the other, and what the command comes to without a fault.

    changes, reads: the steps that it takes, in order; reads below the product and below the place.
    """

    scenario: Scenario
    material: Material
    folder: Path
    commands: Commands
    expected: dict[str, str]
    changes: tuple[str, ...]
    reads: tuple[tuple[Path, tuple[str, ...]], ...]

    @classmethod
    def survey(cls, scenario: Scenario, material: Material, folder: Path, commands: Commands) -> "Place":
        """Runs the command once without a fault for each kind of steps."""
        place = cls(scenario, material, folder, commands, {}, (), ())
        outcome = place.begin(Fault(folder))
        assert outcome.code == 0, outcome.err
        assert scenario.state(folder, material) == NEW
        expected, changes = scenario.result(folder), outcome.steps
        reads = tuple((root, place.begin(Fault(root, reads=True)).steps) for root in (material.data, folder))
        assert scenario.result(folder) == expected, "without a fault it does not come out alike"
        return cls(scenario, material, folder, commands, expected, changes, reads)

    def begin(self, fault: Fault | None) -> Outcome:
        """Prepares the folder anew and runs the command."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self.scenario.prepare(self.folder, self.material)
        return self._run(fault)

    def try_fault(self, fault: Fault) -> Outcome:
        """Asserts all that has to hold; returns how the command ended."""
        outcome = self.begin(fault)
        if fault.act in (Act.KILL, Act.TEAR):
            assert outcome.code == KILLED, f"ended by {outcome.code}: {outcome.err[-500:]}"
        else:
            _check_told(outcome, fault)
            if fault.error == errno.ENOSPC:
                assert not self._parts(), "a full disk, and something is left on it"
        state = self.scenario.state(self.folder, self.material)
        assert state in (OLD, NEW)
        assert state == NEW or outcome.code != 0
        again = self._run(None)
        assert again.code == 0 or (state, again.code) == (NEW, self.scenario.again), again.err[-500:]
        assert self.scenario.result(self.folder) == self.expected, "the same command goes on to another result"
        assert not self._parts(), "something is left for good"
        return outcome

    def _run(self, fault: Fault | None) -> Outcome:
        return self.commands(*self.scenario.words(self.folder, self.material), fault=fault)

    def _parts(self) -> list[Path]:
        return list(self.folder.rglob("*.part"))

    def faults(self) -> Iterator[Fault]:
        """Every fault that is worth a trial."""
        for at in picked(self.changes):
            yield Fault(self.folder, Act.KILL, at)
            if self.changes[at - 1].startswith("write "):
                yield Fault(self.folder, Act.TEAR, at)
        for at in first_of_each(self.changes):
            yield Fault(self.folder, Act.FAIL_ON, at, errno.ENOSPC)
            yield Fault(self.folder, Act.FAIL_ON, at, errno.EROFS)
            yield Fault(self.folder, Act.FAIL_ONCE, at, errno.EIO)
        for root, steps in self.reads:
            for at in spread(first_of_each(steps), 12):
                yield Fault(root, Act.FAIL_ONCE, at, errno.ENOENT, reads=True)


def _check_told(outcome: Outcome, fault: Fault) -> None:
    """One line with the cure and exit code 2; or the fault did not matter, or struck one image of several (1)."""
    assert outcome.code in (0, 1, 2), f"ended by {outcome.code}: {outcome.err[-1500:]}"
    assert "Traceback" not in outcome.err, outcome.err[-1500:]
    if outcome.code:
        assert len(outcome.told) == 1, outcome.err[-500:]
    if outcome.code == 2:
        told = outcome.told[0]
        assert outcome.err.rstrip().endswith(told)
        assert "; " in told, f"no cure: {told}"
        if not fault.reads:
            assert SAID[fault.error] in told or SQLITE in told, told


def picked(steps: Sequence[str]) -> list[int]:
    """Numbers of the steps, from 1; of many alike in a row the first, the middle and the last."""
    found, at = [], 0
    for _, group in groupby(steps):
        count = len(list(group))
        found += sorted({at + 1, at + (count + 1) // 2, at + count})
        at += count
    return found


def first_of_each(steps: Sequence[str]) -> list[int]:
    """Numbers of the steps that are like none before."""
    first: dict[str, int] = {}
    for at, step in enumerate(steps, 1):
        first.setdefault(step, at)
    return list(first.values())


def spread(numbers: Sequence[int], count: int) -> list[int]:
    """At most so many of them, evenly."""
    return list(numbers[:: -(-len(numbers) // count) or 1])
