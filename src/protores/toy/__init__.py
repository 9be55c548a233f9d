"""A toy product to try things on: small circuit boards, good ones and five kinds of bad ones, with masks."""

from protores.toy.dataset import draw, draw_defect, draw_good
from protores.toy.defects import KINDS

__all__ = ["KINDS", "draw", "draw_defect", "draw_good"]
