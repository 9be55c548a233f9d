"""Runs the tests that take minutes one by one, and keeps date and outcome of each one's last run.

    python benchmarks/long_tests.py [--only tests/benchmarks/test_soak.py]

CI leaves them out (`-m "not long"`). Results: benchmarks/results/long_tests.json, for docs/reliability.md; what --only
leaves out keeps its last outcome, and a test that is gone is forgotten.
"""

import argparse
import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common import RESULTS, ROOT, write

NOT_RUN = {"date": None, "outcome": "not run yet", "seconds": None}


def pytest(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-m", "long", *words], cwd=ROOT, capture_output=True, text=True
    )


def collected(only: str) -> list[str]:
    """Names of the long tests in a file or folder."""
    lines = pytest("--collect-only", only).stdout.splitlines()
    return [line for line in lines if "::" in line]


def outcome(test: str) -> dict[str, Any]:
    began = time.monotonic()
    done = pytest(test)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "outcome": "passed" if done.returncode == 0 else "failed",
        "seconds": round(time.monotonic() - began),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="tests")
    asked = parser.parse_args()
    path: Path = RESULTS / "long_tests.json"
    before = json.loads(path.read_text())["figures"] if path.exists() else {}
    figures = {test: before.get(test, NOT_RUN) for test in collected("tests")}
    for test in collected(asked.only):
        figures[test] = outcome(test)
        print(test, figures[test]["outcome"], flush=True)
        write("long_tests", figures)
    write("long_tests", figures)
    sys.exit(any(figures[test]["outcome"] == "failed" for test in figures))


if __name__ == "__main__":
    main()
