"""How the squares between a scanner's points are cut into triangles: once a capture.

The surface is drawn from several places (the reference's, that of every sensor it may hide from),
but which points hang together is told by the scanner's own depth. A square of four points is cut
along the diagonal whose ends differ less in depth, or beside a missing corner. The result is a
byte a square, so that a loop without branches writes it.
"""

from typing import Any

import numpy as np

from mmdefect.jit import compiled, inlined
from mmdefect.registration._mesh import NOTHING, WALL

_ONE: Any = np.uintp(1)


@compiled
def cut(
    band: int, start: int, stop: int, depth: Any, state: Any, slope: float, slack: float, out: Any
) -> None:
    """Cut the squares below rows ``start`` to ``stop``.

    ``out`` (y - 1, x - 1) takes 1 for the falling diagonal and 0 for the rising one, plus 2 times
    the kind of the triangle above it, plus 16 times that of the one below. A kind is the highest
    state of the corners, ``WALL`` where their depths (mm) differ by more than ``slope`` times the
    least plus ``slack``, ``NOTHING`` where a corner is missing.
    """
    for i in range(np.uintp(start), np.uintp(stop)):
        below = i + _ONE
        for j in range(np.uintp(out.shape[1])):
            beside = j + _ONE
            a, b = int(state[i, j]), int(state[i, beside])
            c, d = int(state[below, j]), int(state[below, beside])
            p, q, r, s = depth[i, j], depth[i, beside], depth[below, j], depth[below, beside]
            missing = (a == NOTHING) + (b == NOTHING) + (c == NOTHING) + (d == NOTHING)
            aside = (b == NOTHING) | (c == NOTHING)
            falls = aside if missing == 1 else abs(p - s) <= abs(q - r)
            one, other = (a, d) if falls else (b, c)
            near, far = (p, s) if falls else (q, r)
            corner, away = (b, q) if falls else (a, p)
            upper = _kind(one, other, corner, near, far, away, slope, slack)
            corner, away = (c, r) if falls else (d, s)
            lower = _kind(one, other, corner, near, far, away, slope, slack)
            out[i, j] = falls + 2 * upper + 16 * lower


@inlined
def _kind(
    one: int, other: int, third: int, near: float, far: float, away: float, slope: float,
    slack: float,
) -> int:  # fmt: skip
    """Give a triangle's kind from its corners' states and depths."""
    least = near if near < far else far
    most = far if near < far else near
    least, most = away if away < least else least, away if away > most else most
    highest = one if one > other else other
    highest = third if third > highest else highest
    kind = WALL if most - least > slope * least + slack else highest
    whole = (one != NOTHING) & (other != NOTHING) & (third != NOTHING)
    return kind if whole else NOTHING
