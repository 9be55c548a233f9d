"""Draws docs/pictures/archive.png of docs/scale.md, from benchmarks/results/archive_scoring.json.

    python docs/pictures/draw_scale.py

Chromium and its driver take the picture (on Debian: apt-get install chromium chromium-driver).
"""

import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from browser import HERE, opened, save, screen, shot

RESULTS = HERE.parent.parent / "benchmarks" / "results" / "archive_scoring.json"
WIDTH, HEIGHT = 1240, 380
PLOT, LEFT, TOP = (400, 260), 64, 56
COLOURS = ("#0b5fa5", "#c96a00", "#3b7d3b")
MACHINES = (1, 10, 100)
Points = Sequence[tuple[float, float]]


class Chart:
    """Axes with lines in them. x, y: from, to; logarithmic where asked for."""

    def __init__(self, title: str, x: tuple[float, float], y: tuple[float, float], logarithmic: bool):
        self.x, self.y, self.scale = x, y, math.log10 if logarithmic else float
        self.parts = [f'<text class="title" x="0" y="-24">{title}</text>']

    def place(self, x: float, y: float) -> tuple[float, float]:
        across, up = ((self.scale(v) - self.scale(a)) / (self.scale(b) - self.scale(a))
                      for v, (a, b) in ((x, self.x), (y, self.y)))  # fmt: skip
        return round(across * PLOT[0], 1), round((1 - up) * PLOT[1], 1)

    def ticks(self, x: dict[float, str], y: dict[float, str], below: str) -> None:
        for value, text in x.items():
            at = self.place(value, self.y[0])[0]
            self.parts.append(f'<path class="grid" d="M{at} 0V{PLOT[1]}"/>')
            self.parts.append(f'<text class="tick" text-anchor="middle" x="{at}" y="{PLOT[1] + 20}">{text}</text>')
        for value, text in y.items():
            at = self.place(self.x[0], value)[1]
            self.parts.append(f'<path class="grid" d="M0 {at}H{PLOT[0]}"/>')
            self.parts.append(f'<text class="tick" text-anchor="end" x="-8" y="{at + 4}">{text}</text>')
        self.parts.append(
            f'<text class="tick" text-anchor="middle" x="{PLOT[0] / 2}" y="{PLOT[1] + 44}">{below}</text>'
        )

    def line(self, points: Points, colour: str, name: str, dashed: bool = False, name_by: int = 4) -> None:
        """name_by: pixels that the name stands below the line's end."""
        places = [self.place(*point) for point in points]
        dash = ' stroke-dasharray="6 5"' if dashed else ""
        path = "M" + "L".join(f"{x} {y}" for x, y in places)
        self.parts.append(f'<path class="line" d="{path}" stroke="{colour}"{dash}/>')
        x, y = places[-1]
        self.parts.append(f'<text class="name" x="{x + 8}" y="{y + name_by}" fill="{colour}">{name}</text>')

    def dot(self, point: tuple[float, float]) -> None:
        x, y = self.place(*point)
        self.parts.append(f'<circle cx="{x}" cy="{y}" r="4.5" fill="{COLOURS[0]}"/>')

    def svg(self, left: float) -> str:
        return f'<g transform="translate({left} {TOP})">{"".join(self.parts)}</g>'


def memory(runs: list[dict[str, Any]]) -> Chart:
    """Resident memory of all processes over the time that a call took."""
    runs = sorted((run for run in runs if run["workers"] == 2), key=lambda run: run["images"])
    runs = list({run["images"]: run for run in runs}.values())
    longest, most = max(run["memory"][-1][0] for run in runs), max(run["peak_mib"]["all"] for run in runs)
    step = 10 ** math.floor(math.log10(longest)) / (2 if longest / 10 ** math.floor(math.log10(longest)) < 4 else 1)
    chart = Chart("Memory of all processes, MiB", (0, longest), (0, 500 * math.ceil(most * 1.2 / 500)), False)
    seconds = {step * tick: f"{step * tick:.0f}" for tick in range(int(longest / step) + 1)}
    chart.ticks(seconds, {v: f"{v:,}" for v in range(0, int(chart.y[1]) + 1, 500)}, "seconds")
    for run, colour in reversed(list(zip(runs, COLOURS, strict=False))):
        chart.line(run["memory"], colour, f"{run['images']:,} images", name_by=-12 if colour == COLOURS[0] else 4)
    return chart


def hours(figures: dict[str, Any]) -> Chart:
    """What was measured, and from there on by the same rate."""
    rate, side = figures["rows_per_second"]["2"], figures["side"]
    most = 1e8
    chart = Chart(f"Hours to score, 2 workers a machine, {side} x {side}", (1e3, most), (1e-3, 1e5), True)
    powers = {10**n: f"10<tspan dy='-6' font-size='10'>{n}</tspan>" for n in range(3, 9)}
    chart.ticks(powers, {10**n: f"{10**n:,}" if n >= 0 else f"{10.0**n:g}" for n in range(-3, 6)}, "images")
    for machines, colour in zip(MACHINES, COLOURS, strict=True):
        a_second = rate * machines
        ends = max(1e3, chart.y[0] * 3600 * a_second), most
        line = [(images, images / a_second / 3600) for images in ends]
        chart.line(line, colour, f"{machines} machine{'s' if machines > 1 else ''}: {line[-1][1]:,.0f} h", True)
    for run in figures["runs"]:
        if run["workers"] == 2:
            chart.dot((run["images"], run["seconds"] / 3600))
    return chart


PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; background: #fff }} svg {{ font: 13px "DejaVu Sans", sans-serif; display: block }}
.title {{ font-weight: bold; font-size: 15px; fill: #1c1c1c }} .tick {{ fill: #555 }} .name {{ font-weight: bold }}
.grid {{ stroke: #e3e3e3; fill: none }} .line {{ fill: none; stroke-width: 2.5; stroke-linejoin: round }}
</style><svg width="{width}" height="{height}">{charts}</svg>"""


def main() -> None:
    figures = json.loads(RESULTS.read_text())["figures"]
    charts = memory(figures["runs"]).svg(LEFT) + hours(figures).svg(LEFT + PLOT[0] + 200)
    with tempfile.TemporaryDirectory() as folder, opened() as browser:
        page = Path(folder) / "page.html"
        page.write_text(PAGE.format(width=WIDTH, height=HEIGHT, charts=charts), encoding="utf-8")
        screen(browser, WIDTH, HEIGHT)
        browser.get(page.as_uri())
        save("archive", shot(browser, "svg", WIDTH, HEIGHT))


if __name__ == "__main__":
    main()
