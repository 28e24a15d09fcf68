"""Everything that a descending threshold says, as sums over the steps where a defect pixel enters.

Between two distinct scores of defect pixels the curves are flat, so only those scores matter, and
a defect-free pixel matters by the count of those above it alone. A step that enters when ``above``
defect-free pixels are in, and takes all pixels up to ``reached`` in with it (a tie), adds to a
curve a ramp from ``above`` to ``reached`` and a plateau after it. The area under the curve is the
sum of the areas of its ramps: exact, in no order, for AUROC and AUPRO alike.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmdefect.metrics._counting import precisions, ramps
from mmdefect.metrics._pixels import Counts, Floats, Keys

AUPRO_LIMITS = {"aupro_30": 0.3, "aupro_10": 0.1, "aupro_05": 0.05, "aupro_01": 0.01}
EXACT = ("pixel_auroc", "pixel_ap", *AUPRO_LIMITS)
GRIDS = (99, 100)
PRO_AT = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3)
"""False positive rates at which the curve of overlaps is told."""

_BINS_BY_FPR = 1300
_BINS_BY_RECALL = 700


class Steps(NamedTuple):
    """Distinct scores of defect pixels, descending, and what enters with each.

    ``found`` counts its defect pixels and ``overlap`` adds up their weights; ``above`` counts the
    defect-free pixels that score more, ``reached`` those that score as much or more.
    """

    key: Keys
    found: Counts
    overlap: Floats
    above: Counts
    reached: Counts


class Totals(NamedTuple):
    """Number of defect-free pixels, of defect pixels and of defect regions."""

    good: int
    defect: int
    regions: int


class Sweep:
    """Adds up steps, fed in descending order, to the metrics.

    Parameters
    ----------
    totals : Totals
        What there is to find, at least one of each.
    """

    def __init__(self, totals: Totals) -> None:
        self._totals = totals
        self._found = 0
        self._sums = dict.fromkeys(EXACT, 0.0)
        self._ranks = {n: rank_grid(totals.good, n) for n in GRIDS}
        self._overlap = {n: np.zeros(ranks.size) for n, ranks in self._ranks.items()}
        self._limits = np.floor(np.array(PRO_AT) * totals.good + 1e-9)
        self._pro = np.zeros(len(PRO_AT))
        self._edges: list[Keys] = []
        self._levels: list[Counts] = []

    def add(self, steps: Steps) -> None:
        """Take in the next steps."""
        good, defect, _ = self._totals
        found = self._found + np.cumsum(steps.found)
        counts = steps.above, steps.reached
        self._sums["pixel_auroc"] += ramps(*counts, steps.found, good) / defect / good
        self._sums["pixel_ap"] += precisions(found, steps.reached, steps.found) / defect
        for name, area in pro_areas(steps, self._totals).items():
            self._sums[name] += area
        overlap = np.append(0.0, np.cumsum(steps.overlap))
        for n, ranks in self._ranks.items():
            self._overlap[n] += overlap[np.searchsorted(steps.reached, ranks, "right")]
        self._pro += overlap[np.searchsorted(steps.reached, self._limits, "right")]
        level = _level(steps.reached / good, found / defect)
        last = _last_of_level(level)
        self._edges.append(steps.key[last])
        self._levels.append(level[last])
        self._found = int(found[-1])

    def exact(self) -> dict[str, float]:
        """Give the exact metrics, once all steps are in."""
        return {name: min(total, 1.0) for name, total in self._sums.items()}

    def on_grids(self) -> dict[str, float]:
        """Give AUPRO on the grids of the literature, once all steps are in."""
        good, _, regions = self._totals
        return {
            f"{name}_grid{n}": _grid_area(
                np.append(ranks / good, 1.0),
                np.append(np.minimum(self._overlap[n] / regions, 1.0), 1.0),
                limit,
            )
            for n, ranks in self._ranks.items()
            for name, limit in AUPRO_LIMITS.items()
        }

    def curve(self) -> dict[float, float]:
        """Give the mean overlap at ``PRO_AT``: of what scores above all but so many good pixels."""
        shares = np.minimum(self._pro / self._totals.regions, 1.0)
        return dict(zip(PRO_AT, shares.tolist(), strict=True))

    def edges(self) -> Keys:
        """Give about 2,000 keys, descending, at which the curves can be cut into bins."""
        last = _last_of_level(np.concatenate(self._levels))
        return np.concatenate(self._edges)[last]


def pro_areas(steps: Steps, totals: Totals) -> dict[str, float]:
    """Give what steps add to each AUPRO.

    Parameters
    ----------
    steps : Steps
    totals : Totals

    Returns
    -------
    dict of str to float
        By the names of ``AUPRO_LIMITS``. A step above which so many defect-free pixels lie as the
        limit allows adds nothing.
    """
    areas = {}
    for name, limit in AUPRO_LIMITS.items():
        most = limit * totals.good
        area = ramps(steps.above, steps.reached, steps.overlap, most)
        areas[name] = area / totals.regions / most
    return areas


def ramp_area(above: NDArray[Any], reached: NDArray[Any], limit: float | Floats) -> Floats:
    """Integrate a unit ramp, with the plateau after it, from 0 to a limit.

    Parameters
    ----------
    above, reached : array
        Defect-free pixels where the ramp starts and ends; equal for a jump.
    limit : float or array
        Where the integral ends, in defect-free pixels.

    Returns
    -------
    float64 array
        The areas.
    """
    inside = np.clip(limit - above, 0, None)
    whole = limit - (above + reached) / 2
    cut = inside**2 / (2 * np.maximum(reached - above, 1))
    area: Floats = np.where(reached <= limit, whole, cut)
    return area


def rank_grid(good: int, n: int) -> Counts:
    """Place thresholds as the literature does.

    Parameters
    ----------
    good : int
        Number of defect-free pixels.
    n : int
        Number of thresholds.

    Returns
    -------
    int64 array (threshold,)
        How many defect-free pixels rank above the one that is the threshold, ascending:
        equidistant ranks from the lowest pixel to the highest, rounded down from below.
    """
    from_below = np.linspace(0, good - 1, num=n, dtype=np.int64)
    return good - 1 - from_below[::-1]


def _grid_area(fpr: Floats, overlap: Floats, limit: float) -> float:
    """Integrate a sampled curve by trapezoids up to a limit, and divide by the limit."""
    inside = fpr <= limit
    x = np.append(fpr[inside], limit)
    y = np.append(overlap[inside], np.interp(limit, fpr, overlap))
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2) / limit)


def _level(fpr: Floats, recall: Floats) -> Counts:
    """Find the bin of each step, from the top; bins are narrow where few pixels are reached."""
    level: Counts = (_BINS_BY_FPR * np.cbrt(fpr) + _BINS_BY_RECALL * recall).astype(np.int64)
    return level


def _last_of_level(level: Counts) -> NDArray[np.intp]:
    """Find the places after which a new level begins, and the end."""
    return np.flatnonzero(np.append(level[1:] != level[:-1], True))
