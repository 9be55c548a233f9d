"""Draws the pictures of docs/thresholds.md and docs/report.md, from the toy product alone.

    python docs/pictures/draw.py --weights FILE          # trains on drawn boards, then as below
    python docs/pictures/draw.py --run RUN               # a run on them that is there already

Chromium and its driver take the pictures (on Debian: apt-get install chromium chromium-driver).
"""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from browser import opened, save, screen, shot

from protores import toy, workflow
from protores.decision.calibration import calibrate
from protores.decision.request import Request
from protores.report.page import report

SIZE = 128


def main() -> None:
    with run_on_boards(__doc__) as (work, run):
        calibrated(run, work)
        report(run, work / "report.html")
        photograph(work / "report.html")


@contextmanager
def run_on_boards(about: str) -> Iterator[tuple[Path, Path]]:
    """A folder to work in, and the run that the command line asks for."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--run", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        run = arguments.run or train(work, arguments.weights, arguments.steps)
        yield work, run


def calibrated(source: Path, work: Path) -> None:
    held = toy.draw(work / "held", good=100, test_good=100, defects_per_kind=12, size=SIZE, seed=1)
    print("\n".join(calibrate(source, held, Request(max_false_alarm=0.1, max_miss=0.3)).lines()))


def train(work: Path, weights: str, steps: int) -> Path:
    data = toy.draw(work / "board", good=120, test_good=40, defects_per_kind=12, size=SIZE)
    settings = {
        "model.weights": weights,
        "data.size": (SIZE, SIZE),
        "split.seen": 12,
        "split.seen_kinds": ("scratch", "solder_bridge", "contamination"),
        "training.steps": steps,
        "training.minutes": None,
    }
    workflow.train(data, work / "run", "quick", settings)
    return work / "run"


def photograph(page: Path) -> None:
    with opened() as browser:
        for name, width, height, above in (("report", 1440, 1010, "body"), ("report-phone", 390, 844, "body")):
            screen(browser, width, height)
            browser.get(page.as_uri())
            save(name, shot(browser, above, width, height))
        screen(browser, 1440, 1000)
        browser.get(page.as_uri())
        save("report-images", shot(browser, "#gallery", 1440, 760))
        save("thresholds", shot(browser, "#control", 1440, 436))


if __name__ == "__main__":
    main()
