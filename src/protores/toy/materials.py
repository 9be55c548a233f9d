"""What the toy product is made of: how each material looks, how high it stands, how much it shines."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Label(IntEnum):
    """What covers a pixel of the board; NOTHING is outside and in the holes."""

    NOTHING = 0
    MASK = 1
    """Solder mask on bare board."""
    TRACE = 2
    """Copper under solder mask."""
    TIN = 3
    GOLD = 4
    SILK = 5
    SOLDER = 6
    LEG = 7
    BODY = 8
    MARK = 9
    """Laser print on a body."""
    TAN = 10
    STEEL = 11
    CAN = 12
    STRIPE = 13
    LENS = 14
    PIN = 15


LOOK = np.array(
    [
        #  R    G    B   height gloss grain
        [74, 84, 62, 0.00, 0.00, 0.0],
        [24, 84, 56, 0.00, 0.05, 1.0],
        [44, 124, 74, 0.16, 0.10, 0.6],
        [178, 180, 176, 0.20, 0.35, 0.5],
        [198, 168, 98, 0.20, 0.35, 0.5],
        [214, 218, 208, 0.08, 0.00, 0.8],
        [160, 163, 166, 0.70, 0.60, 0.4],
        [168, 170, 172, 0.60, 0.45, 0.3],
        [40, 41, 45, 1.30, 0.08, 0.9],
        [128, 130, 130, 1.30, 0.00, 0.5],
        [164, 126, 84, 1.00, 0.10, 0.6],
        [170, 172, 170, 1.20, 0.35, 0.6],
        [150, 154, 160, 2.00, 0.40, 0.5],
        [36, 38, 48, 2.00, 0.10, 0.5],
        [222, 214, 168, 0.90, 0.30, 0.3],
        [206, 200, 180, 1.10, 0.50, 0.3],
    ],
    np.float32,
)  # fmt: skip
"""One row per label. Colour in levels; height in millimetres; gloss and grain as shares."""


def batch(rng: np.random.Generator) -> NDArray[np.float32]:
    """The table of looks as one production batch has it: shades of mask, print and metal vary a little."""
    look = LOOK.copy()
    look[:, :3] *= rng.uniform(0.95, 1.05, (len(look), 1))
    tint = rng.uniform(0.88, 1.12, 3) * (0.9, 1.0, 1.0)
    look[[Label.MASK, Label.TRACE], :3] *= tint
    look[Label.SILK, :3] *= rng.uniform(0.9, 1.03)
    look[Label.MARK, :3] *= rng.uniform(0.8, 1.15)
    return look.astype(np.float32)
