"""`protores` with a fault at its n-th file-system step: killed there, or refused by the system as a full disk would."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from enum import IntEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

HERE = Path(__file__).parent
NO_COMPILER = "faults are made in C; install a compiler, on Debian by: apt-get install gcc libc6-dev"


class Act(IntEnum):
    """As in steps.c. TEAR: half of what a step writes gets through before the kill."""

    RECORD = 0
    KILL = 1
    TEAR = 2
    FAIL_ONCE = 3
    FAIL_ON = 4


@dataclass(frozen=True)
class Fault:
    """What happens at the `at`-th step below `root`, counted from 1.

    error: errno. reads: the steps are opens to read.
    """

    root: Path
    act: Act = Act.RECORD
    at: int = 0
    error: int = 0
    reads: bool = False


@dataclass(frozen=True)
class Outcome:
    """code: exit code, negative for the signal that ended it. steps: "call path" of each, the path below root."""

    code: int
    out: str
    err: str
    steps: tuple[str, ...]

    @property
    def told(self) -> list[str]:
        """The lines that are meant for the user."""
        return [line for line in self.err.splitlines() if line.startswith("protores: ")]


class Commands:
    """commands("train", ..., fault=): runs a command and says how it ended. To be used in a with statement."""

    def __init__(self) -> None:
        self._home = TemporaryDirectory(prefix="protores-")
        home = Path(self._home.name)
        self._files = home / "out", home / "err", home / "steps"
        library = home / "steps.so"
        built = subprocess.run(
            ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, HERE / "steps.c", "-ldl"],
            capture_output=True,
            text=True,
        )
        assert not built.returncode, built.stderr
        settings = {"LD_PRELOAD": str(library), "STEPS_HOME": str(home), "OMP_NUM_THREADS": "1", "COLUMNS": "500"}
        self._zygote = subprocess.Popen(
            [sys.executable, HERE / "zygote.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | settings,
        )

    def __call__(self, *words: object, fault: Fault | None = None) -> Outcome:
        out, err, log = self._files
        log.write_text("")
        request = {"words": [str(word) for word in words], "out": str(out), "err": str(err), "fault": None}
        if fault is not None:
            request["fault"] = asdict(fault) | {
                "root": str(fault.root),
                "watched": int(fault.reads),
                "log": str(log),
            }
        assert self._zygote.stdin is not None
        assert self._zygote.stdout is not None
        self._zygote.stdin.write(json.dumps(request) + "\n")
        self._zygote.stdin.flush()
        code = json.loads(self._zygote.stdout.readline())
        return Outcome(code, out.read_text(), err.read_text(), tuple(log.read_text().splitlines()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._zygote.stdin is not None
        self._zygote.stdin.close()
        self._zygote.wait()
        self._home.cleanup()
