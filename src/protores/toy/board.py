"""One copy of the toy product: the layout with the tolerances of its making, drawn as a map of labels."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from protores.toy import layout, materials
from protores.toy.layout import Part, Point
from protores.toy.materials import Label
from protores.toy.pen import Labels, Pen


@dataclass(frozen=True)
class Placed:
    """A part with its placement error: shift in units, turn in degrees."""

    part: Part
    shift: Point
    turn: float

    def pen(self, labels: Labels) -> Pen:
        """A pen in the frame of the part."""
        (x, y), (u, v) = self.part.centre, self.shift
        return Pen(labels, (x + u, y + v), self.part.turn + self.turn)


@dataclass(frozen=True)
class Board:
    """A sampled copy. look is materials.LOOK as this batch has it; seed makes the solder and the grain."""

    parts: tuple[Placed, ...]
    look: NDArray[np.float32]
    print_shift: Point
    lot: str
    seed: int

    @classmethod
    def sample(cls, rng: np.random.Generator) -> "Board":
        shifts = np.clip(rng.normal(0, 1.4, (len(layout.PARTS), 2)), -3.5, 3.5)
        turns = np.clip(rng.normal(0, 0.8, len(layout.PARTS)), -2, 2)
        parts = tuple(
            Placed(part, (float(s[0]), float(s[1])), float(t))
            for part, s, t in zip(layout.PARTS, shifts, turns, strict=True)
        )
        u, v = rng.normal(0, 1.2, 2)
        lot = f"{rng.integers(22, 27)}{rng.integers(1, 53):02d}"
        return cls(parts, materials.batch(rng), (float(u), float(v)), lot, int(rng.integers(2**32)))

    def labels(self, pixels: int, without: str | None = None) -> Labels:
        """Labels, uint8 pixels x pixels, of the whole field; `without` names a part that was not placed."""
        copper, ink = _bare(pixels)
        labels = copper.copy()
        v, u = (round(s * pixels / 1000) for s in self.print_shift)
        printable = (labels == Label.MASK) | (labels == Label.TRACE)
        labels[(np.roll(ink, (v, u), (0, 1)) > 0) & printable] = Label.SILK
        rng = np.random.default_rng(self.seed)
        for placed in self.parts:
            amounts = rng.uniform(0.85, 1.2, 40)  # for absent parts as well: the others stay as they are
            if placed.part.name == without:
                _paste(Pen(labels, placed.part.centre, placed.part.turn), placed.part.shape)
            else:
                _BUILD[placed.part.shape](placed.pen(labels), amounts, self.lot)
        _header(Pen(labels), rng.uniform(0.9, 1.12, len(layout.HEADER)))
        return labels


@lru_cache(maxsize=4)
def _bare(pixels: int) -> tuple[Labels, Labels]:
    """The unpopulated board, and apart from it the print."""
    labels, ink = np.zeros((pixels, pixels), np.uint8), np.zeros((pixels, pixels), np.uint8)
    pen = Pen(labels)
    pen.polygon(layout.OUTLINE, Label.MASK)
    for x, y in layout.HOLES:
        pen.disc(x, y, 38, Label.TRACE)
    for trace in layout.TRACES:
        pen.line(trace.points, trace.width, Label.TRACE)
    for x, y in layout.VIAS:
        pen.disc(x, y, 12, Label.TRACE)
        pen.disc(x, y, 8.5, Label.TIN)
        pen.disc(x, y, 3.5, Label.BODY)
    for x, y in layout.TEST_PADS:
        pen.disc(x, y, 9, Label.GOLD)
    for x, y in layout.HEADER:
        pen.box(x, y, 36, 36, Label.GOLD)
    for x, y in ((560.0, 640.0), (120.0, 640.0)):  # marks for the placing machine
        pen.disc(x, y, 9, Label.TIN)
    for part in layout.PARTS:
        _pads(Pen(labels, part.centre, part.turn), part.shape)
    for x, y in layout.HOLES:
        pen.disc(x, y, 33, Label.GOLD)
        pen.disc(x, y, 23, Label.NOTHING)
    pen = Pen(ink)
    for part in layout.PARTS:
        _print(Pen(ink, part.centre, part.turn), part)
    pen.line([(204, 802), (690, 802), (690, 748), (204, 748), (204, 802)], 3, 1)
    pen.text(448, 823, "PROTORES  REV 2", 20, 1)
    pen.text(716, 800, "J1", 16, 1)
    return labels, ink


def _pads(pen: Pen, shape: str) -> None:
    if shape in layout.LEGS:
        for side in layout.sides(shape):
            for x, y in layout.legs(shape, side):
                w, h = (34, 12.5) if side % 2 == 0 else (12.5, 34)
                pen.box(x, y, w, h + (4 if shape == "octal" else 0), Label.TIN)
        return
    across, width, height = {
        "resistor": (27, 20, 28), "capacitor": (27, 20, 30), "crystal": (50, 26, 34), "can": (52, 34, 26),
        "lamp": (27, 22, 30),
    }[shape]  # fmt: skip
    for x in (-across, across):
        pen.box(x, 0, width, height, Label.TIN)


def _paste(pen: Pen, shape: str) -> None:
    """Pads as they are left where a part is missing: with their molten solder."""
    across = {"resistor": 27, "capacitor": 27, "crystal": 50, "can": 52, "lamp": 27}[shape]
    for x in (-across, across):
        pen.disc(x, 0, 8, Label.SOLDER)


def _print(pen: Pen, part: Part) -> None:
    """Outline and name of a part."""
    w, h = {
        "quad": (98, 98), "octal": (50, 78), "resistor": (42, 18), "capacitor": (42, 19), "crystal": (68, 32),
        "can": (68, 68), "lamp": (42, 20),
    }[part.shape]  # fmt: skip
    if part.shape == "can":
        around = np.radians(np.arange(0, 361, 10))
        pen.line(np.stack([np.cos(around), np.sin(around)], 1) * 68, 3, 1)
    elif part.shape in ("resistor", "capacitor", "lamp"):
        for side in (-h, h):
            pen.line([(-w / 2, side), (w / 2, side)], 3, 1)
    else:
        pen.line([(-w, -h), (w, -h), (w, h), (-w, h), (-w, -h)], 3, 1)
    x, y = {
        "U1": (126, -126), "U2": (0, 96), "E1": (62, 70), "Y1": (0, -46), "D1": (0, 38), "R1": (0, -34),
        "R2": None, "R3": None, "R4": (0, 36),
    }.get(part.name, (0, -36)) or (0, 0)  # fmt: skip
    if (x, y) != (0, 0):
        pen.text(x, y, part.name, 15, 1)


def _chip(pen: Pen, shape: str, half: Point, amounts: NDArray[np.float64]) -> None:
    """Legs with their fillets of solder, then the body on top."""
    amount = iter(amounts)
    width = 8.0 if shape == "quad" else 13.0
    for side in layout.sides(shape):
        for x, y in layout.legs(shape, side):
            reach, inner = (abs(x), half[0]) if side % 2 == 0 else (abs(y), half[1])
            share = (reach + inner) / 2 / reach
            fillet = 22 * next(amount)
            if side % 2 == 0:
                pen.box(x, y, fillet, width + 1, Label.SOLDER)
                pen.box(x * share, y, reach - inner, width, Label.LEG)
            else:
                pen.box(x, y, width + 1, fillet, Label.SOLDER)
                pen.box(x, y * share, width, reach - inner, Label.LEG)
    pen.box(0, 0, 2 * half[0], 2 * half[1], Label.BODY)


def _quad(pen: Pen, amounts: NDArray[np.float64], lot: str) -> None:
    _chip(pen, "quad", (93, 93), amounts)
    pen.disc(-72, -72, 8, Label.MARK)
    for y, height, text in ((-28, 27, "PRN32"), (14, 18, "F4-100"), (48, 18, lot)):
        pen.text(0, y, text, height, Label.MARK)


def _octal(pen: Pen, amounts: NDArray[np.float64], lot: str) -> None:
    _chip(pen, "octal", (52, 74), amounts)
    pen.disc(-36, -58, 6, Label.MARK)
    for y, text in ((-16, "25Q64"), (20, lot)):
        pen.text(0, y, text, 18, Label.MARK)


def _ends(pen: Pen, half: float, height: float, amounts: NDArray[np.float64], body: Label) -> None:
    """A two-terminal part: fillets, metal ends, body."""
    for x, amount in zip((-half, half), amounts, strict=False):
        pen.disc(x, 0, 0.44 * height * amount, Label.SOLDER)
    pen.box(0, 0, 2 * half, height, Label.LEG)
    pen.box(0, 0, 2 * half - 18, height, body)


def _resistor(pen: Pen, amounts: NDArray[np.float64], lot: str) -> None:
    _ends(pen, 30, 26, amounts, Label.BODY)
    if abs(pen.turn) < 45:
        pen.text(0, 0, "103", 13, Label.MARK)


def _capacitor(pen: Pen, amounts: NDArray[np.float64], lot: str) -> None:
    _ends(pen, 30, 28, amounts, Label.TAN)


def _lamp(pen: Pen, amounts: NDArray[np.float64], lot: str) -> None:
    _ends(pen, 31, 28, amounts, Label.LENS)
    pen.box(-16, 0, 4, 28, Label.TRACE)


def _crystal(pen: Pen, amounts: NDArray[np.float64], lot: str) -> None:
    pen.box(-54, 0, 16 * amounts[0], 28, Label.SOLDER)
    pen.box(54, 0, 16 * amounts[1], 28, Label.SOLDER)
    pen.box(0, 0, 78, 50, Label.STEEL)
    for x in (-39, 39):
        pen.disc(x, 0, 25, Label.STEEL)
    pen.text(0, 0, "16.0", 16, Label.BODY)


def _can(pen: Pen, amounts: NDArray[np.float64], lot: str) -> None:
    for x, amount in zip((-60, 60), amounts, strict=False):
        pen.box(x, 0, 20 * amount, 22, Label.SOLDER)
    pen.disc(0, 0, 57, Label.CAN)
    around = np.radians(np.arange(110, 251, 10))
    pen.polygon(np.stack([np.cos(around), np.sin(around)], 1) * 54, Label.STRIPE)
    pen.text(14, -10, "47", 19, Label.STRIPE)
    pen.text(14, 17, "16V", 14, Label.STRIPE)


def _header(pen: Pen, amounts: NDArray[np.float64]) -> None:
    for (x, y), amount in zip(layout.HEADER, amounts, strict=True):
        pen.disc(x, y, 14 * amount, Label.SOLDER)
        pen.box(x, y, 10, 10, Label.PIN)


_BUILD = {
    "quad": _quad, "octal": _octal, "resistor": _resistor, "capacitor": _capacitor, "crystal": _crystal,
    "can": _can, "lamp": _lamp,
}  # fmt: skip
