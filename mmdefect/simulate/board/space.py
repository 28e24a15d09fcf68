"""Where things are on a board: footprints, whether they overlap, and extents of defects."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.simulate.board.families import package
from mmdefect.simulate.board.joints import nominal, on_board
from mmdefect.simulate.board.layout import BOARD_MM, HOLES, SITE
from mmdefect.simulate.board.plan import BoardPlan, Mounted
from mmdefect.simulate.marks import Place
from mmdefect.simulate.raster import Raster
from mmdefect.simulate.shapes import Distance, rectangle

EXTENT_PITCH_MM = 0.2
_MARGIN_MM = 0.25


def footprint(mounted: Mounted) -> NDArray[np.float64]:
    """Give the corners (4, 2) of what a component covers, its leads and fillets included, mm."""
    return _corners(mounted.place, package(mounted.package).reach)


def _corners(place: Place, reach: tuple[float, float]) -> NDArray[np.float64]:
    """Give the corners (4, 2) of a rectangle at a place."""
    half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * np.array(reach) / 2
    return np.stack(on_board(place, half), -1)


def overlap(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Tell whether two rectangles (4, 2) overlap: no side of either has the other beyond it."""
    for corners in (one, other):
        for i in (0, 1):
            axis = corners[i + 1] - corners[i]
            first, second = one @ axis, other @ axis
            if first.max() <= second.min() or second.max() <= first.min():
                return False
    return True


def stands_free(plan: BoardPlan, mounted: Mounted) -> bool:
    """Tell whether a component at its place touches no other and stays on the board."""
    own = footprint(mounted)
    inside = np.abs(own).max(axis=0) < np.array(BOARD_MM) / 2 - 0.3
    others = (other for other in plan.mounted if other.site != mounted.site)
    return bool(inside.all()) and not any(overlap(own, footprint(other)) for other in others)


def free_place(
    rng: np.random.Generator, plan: BoardPlan, radius: float, tries: int = 48
) -> tuple[float, float]:
    """Draw a place whose surroundings within a radius (mm) are mostly bare board.

    Parameters
    ----------
    rng : Generator
    plan : BoardPlan
    radius : float, mm
    tries : int

    Returns
    -------
    x, y : float, mm
    """
    half = np.array(BOARD_MM)[:, None] / 2 - radius - 1.0
    x, y = rng.uniform(-half, half, (2, tries))
    free = np.full(tries, np.inf)
    for mounted in plan.mounted:
        near = around(mounted.place, package(mounted.package).reach, 0.0)
        free = np.minimum(free, near(x, y))
    for hole in HOLES:
        free = np.minimum(free, np.hypot(x - hole[0], y - hole[1]) - 3.2)
    enough = np.flatnonzero(free > 0.5 * radius)
    chosen = int(enough[0]) if enough.size else int(free.argmax())
    return float(x[chosen]), float(y[chosen])


def around(place: Place, reach: tuple[float, float], margin: float = _MARGIN_MM) -> Distance:
    """Give the signed distance (mm, negative inside) to a rectangle at a place, with a margin."""
    inside = rectangle(reach[0] + 2 * margin, reach[1] + 2 * margin)

    def distance(x: Any, y: Any) -> Any:
        c, s = np.cos(place.turn), np.sin(place.turn)
        right, down = x - place.x, y - place.y
        return inside(c * right + s * down, c * down - s * right)

    return distance


def of_site(name: str, mounted: Mounted | None = None) -> Distance:
    """Give the signed distance to what stands at a site, or would."""
    if mounted is None:
        return around(nominal(name), package(SITE[name].package).reach)
    return around(mounted.place, package(mounted.package).reach)


def either(*distances: Distance) -> Distance:
    """Give the signed distance to several things taken together."""
    return lambda x, y: np.minimum.reduce([distance(x, y) for distance in distances])


def extent(inside: Distance) -> Raster:
    """Mark where a signed distance is negative."""
    grid = Raster.over(*BOARD_MM, EXTENT_PITCH_MM)
    return grid.filled(lambda x, y: inside(x, y) < 0)


def extent_where(marked: Callable[[Any, Any], Any]) -> Raster:
    """Mark where a function of x and y (mm) is true."""
    return Raster.over(*BOARD_MM, EXTENT_PITCH_MM).filled(marked)


def exchanged(plan: BoardPlan, mounted: Mounted) -> BoardPlan:
    """Put a component where another stood at its site."""
    others = (mounted if m.site == mounted.site else m for m in plan.mounted)
    return replace(plan, mounted=tuple(others))


def removed(plan: BoardPlan, site: str) -> BoardPlan:
    """Take the component at a site away."""
    return replace(plan, mounted=tuple(m for m in plan.mounted if m.site != site))
