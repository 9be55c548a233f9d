"""Where everything lies on the toy product, a small circuit board.

Positions are in units of a thousandth of the field of view, so one layout serves every image size.
"""

from dataclasses import dataclass

import numpy as np

FIELD = 1000.0
"""Units across the field of view."""
LEFT, TOP, RIGHT, BOTTOM = 90.0, 150.0, 910.0, 850.0
"""The board's edges."""
OUTLINE = ((LEFT, TOP), (RIGHT, TOP), (RIGHT, BOTTOM), (LEFT, BOTTOM))

Point = tuple[float, float]


@dataclass(frozen=True)
class Part:
    """A component: where its centre should be, and its turn in degrees."""

    name: str
    shape: str
    centre: Point
    turn: float = 0.0


@dataclass(frozen=True)
class Trace:
    """A copper track under the solder mask."""

    points: tuple[Point, ...]
    width: float = 9.0


QUAD, OCTAL = (390.0, 430.0), (760.0, 350.0)
"""Centres of the two chips."""
HEADER = tuple((230.0 + 48 * k, 775.0) for k in range(10))
HOLES = ((137.0, 197.0), (863.0, 197.0), (137.0, 803.0), (863.0, 803.0))
VIAS = (
    (240.0, 546.0), (208.0, 522.0), (560.0, 449.0), (596.0, 490.0), (560.0, 530.0), (330.0, 262.0),
    (360.0, 224.0), (664.0, 500.0), (134.0, 540.0), (664.0, 640.0), (722.0, 752.0), (836.0, 752.0),
)  # fmt: skip
TEST_PADS = tuple((780.0 - 26 * k, 268.0 - 20 * k) for k in range(5))
PARTS = (
    Part("U1", "quad", QUAD),
    Part("U2", "octal", OCTAL),
    *(Part(f"R{k + 1}", "resistor", (615.0, 290.0 + 42 * k)) for k in range(4)),
    *(Part(f"C{k + 1}", "capacitor", at, 90.0) for k, at in enumerate(((178.0, 335.0), (178.0, 440.0)))),
    *(Part(f"C{k + 3}", "capacitor", at, 90.0) for k, at in enumerate(((664.0, 565.0), (664.0, 712.0)))),
    *(Part(f"R{k + 5}", "resistor", at, 90.0) for k, at in enumerate(((170.0, 615.0), (170.0, 708.0)))),
    Part("Y1", "crystal", (236.0, 210.0)),
    Part("E1", "can", (778.0, 590.0)),
    Part("D1", "lamp", (778.0, 715.0)),
)
LEGS: dict[str, tuple[float, float, int]] = {"quad": (118.0, 19.0, 9), "octal": (76.0, 32.0, 4)}
"""Per chip: distance of the legs' tips from its centre, their pitch, their number on a side."""


def legs(shape: str, side: int) -> tuple[Point, ...]:
    """Tips of a chip's legs around its centre; sides 0 to 3 are right, bottom, left, top."""
    reach, pitch, count = LEGS[shape]
    along = ((k - (count - 1) / 2) * pitch for k in range(count))
    reach = reach if side < 2 else -reach
    return tuple((reach, s) if side % 2 == 0 else (s, reach) for s in along)


def sides(shape: str) -> tuple[int, ...]:
    """The sides of a chip that have legs."""
    return (0, 1, 2, 3) if shape == "quad" else (0, 2)


def _tips(centre: Point, shape: str, side: int) -> list[Point]:
    return [(centre[0] + x, centre[1] + y) for x, y in legs(shape, side)]


def _route(start: Point, end: Point, lead: float, upright: bool = False) -> tuple[Point, ...]:
    """Straight on for `lead`, at 45 degrees until level with the end, then straight on to the end."""
    (x, y), (u, v) = start, end
    if upright:
        return tuple((b, a) for a, b in _route((y, x), (v, u), lead))
    way = np.sign(u - x)
    knee = x + lead * way
    return start, (knee, y), (knee + abs(v - y) * way, v), end


def _traces() -> tuple[Trace, ...]:
    right, bottom, left, top = (_tips(QUAD, "quad", side) for side in range(4))
    near, far = _tips(OCTAL, "octal", 2), _tips(OCTAL, "octal", 0)
    rows = [290.0 + 42 * k for k in range(4)]
    narrow = [_route(p, HEADER[k], 16 + 13 * (4 - abs(k - 4)), upright=True) for k, p in enumerate(bottom)]
    narrow += [_route(p, (588, rows[k]), 4 + 4 * k) for k, p in enumerate(right[:4])]
    narrow += [_route((642, rows[k]), near[k], 6) for k in range(4)]
    narrow += [_route(right[5], VIAS[2], 40), _route(right[6], VIAS[3], 50), _route(right[8], VIAS[4], 16)]
    for pin, pad in zip(top[4:], reversed(TEST_PADS), strict=True):
        narrow.append((pin, (pin[0], pad[1] + 12), (pin[0] + 12, pad[1]), pad))
    narrow += [_route(top[3], VIAS[6], 26, upright=True), _route(top[2], VIAS[5], 14, upright=True)]
    narrow += [(top[1], (top[1][0], 302), (286, 255), (286, 210)), (top[0], (186, 262), (186, 210))]
    narrow += [_route(left[0], (178, 308), 12), _route(left[2], (178, 362), 16)]
    narrow += [_route(left[4], (178, 413), 24), _route(left[5], (178, 467), 20)]
    narrow += [_route(left[7], VIAS[1], 16), _route(left[8], VIAS[0], 8, upright=False)]
    narrow += [(VIAS[1], (134, 522), VIAS[8], (134, 552), (170, 588)), ((170, 642), (170, 681))]
    narrow += [((751, 715), (736, 730), VIAS[10]), ((805, 715), (836, 746), VIAS[11])]
    wide = [((170, 735), (170, 745), (200, 775), HEADER[0]), (far[0], (862, 276), (862, 240))]
    wide += [(VIAS[7], (664, 538)), ((664, 592), VIAS[9], (664, 685)), (VIAS[10], (699, 775), HEADER[9])]
    power = [(far[3], (866, 428), (866, 560), (836, 590)), ((720, 590), (696, 590), (664, 592))]
    widths = [9.0] * len(narrow) + [13.0] * len(wide) + [20.0] * len(power)
    return tuple(Trace(p, w) for p, w in zip(narrow + wide + power, widths, strict=True))


TRACES = _traces()
