"""Which fringe: from positions within several periods to one position on the projector.

* *Beats*: sums of phases with whole factors are phases too, of another period. A chain of them
  leads from one that spans the projector to the finest; each is unwrapped by the one before.
* *Remainders*: a position x has the remainders r₁, r₂, r₃ for three periods. Their differences
  take few values over a projector, one for each run of x without a wrap. A table over the plane of
  differences holds for every place in it the nearest run: the most likely one for equal noise.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]
PER_PX = 4
_REACH = 1.0
_NOISE_PX = 0.5


def beats(periods: Sequence[float]) -> list[tuple[tuple[int, ...], float]]:
    """List the beats of fringes.

    Parameters
    ----------
    periods : sequence of float, px

    Returns
    -------
    list of (factors, period)
        Of pairs, and of pairs of neighbouring pairs, the longest first.
    """
    found = []
    count = len(periods)
    vectors = [_factors(count, {i: 1, j: -1}) for i, j in combinations(range(count), 2)]
    vectors += [_factors(count, {i: 1, j: -2, k: 1}) for i, j, k in combinations(range(count), 3)]
    for factors in vectors:
        rate = sum(factor / period for factor, period in zip(factors, periods, strict=True))
        sign = -1 if rate < 0 else 1
        if abs(rate) > 1e-9:
            found.append((tuple(sign * factor for factor in factors), 1 / abs(rate)))
    return sorted(found, key=lambda beat: -beat[1])


def _factors(count: int, told: dict[int, int]) -> tuple[int, ...]:
    """Write factors by place, 0 elsewhere."""
    return tuple(told.get(place, 0) for place in range(count))


@lru_cache(maxsize=64)
def chain(name: str, periods: tuple[float, ...], extent: int) -> tuple[Floats, Floats]:
    """Give the phases to unwrap one by the other, from coarse to fine.

    Parameters
    ----------
    name : str
        The code's.
    periods : tuple of float, px
        Rising.
    extent : int, px
        What the first has to span.

    Returns
    -------
    factors : array (link, period)
        Whole factors of the phases of the periods.
    lengths : array (link), px
    """
    count = len(periods)
    singles = [(_factors(count, {i: 1}), periods[i]) for i in reversed(range(count))]
    if name == "heterodyne":
        spanning = [beat for beat in beats(periods) if beat[1] >= extent]
        start = min(spanning, key=lambda beat: (np.abs(beat[0]).sum(), beat[1]))
        plain = [
            beat
            for beat in beats(periods)
            if np.abs(beat[0]).sum() == 2 and max(periods) < beat[1] < 0.7 * start[1]
        ]
        links = [start, *plain, singles[-1]]
    elif name == "temporal":
        links = singles
    else:
        links = singles[-1:]
    return np.array([link[0] for link in links], float), np.array([link[1] for link in links])


@lru_cache(maxsize=64)
def table(periods: tuple[float, ...], extent: int) -> NDArray[np.int16]:
    """Make the table of runs for remainders.

    Parameters
    ----------
    periods : tuple of float, px
        Coprime multiples of one unit; the first three are used.
    extent : int, px
        Positions from -1 to one beyond it are told apart.

    Returns
    -------
    array (r₁ - r₂, r₁ - r₃), int16
        Fringes of the first period before the position, four places a pixel, starting at minus
        the second (third) period; with two periods the second axis has length 1.
    """
    runs, orders = _runs(periods, extent)
    first = periods[0]
    spans = [
        np.arange(int(np.ceil(PER_PX * (first + other))) + 1) / PER_PX - other
        for other in periods[1:3]
    ]
    if len(spans) == 1:
        spans.append(np.zeros(1))
    one, two = np.meshgrid(*spans, indexing="ij")
    places = _plane(one, two, len(periods) > 2).reshape(2, -1)
    known = _plane(runs[:, 0], runs[:, 1], len(periods) > 2)
    _, nearest = cKDTree(known.T).query(places.T)
    told: NDArray[np.int16] = orders[nearest].reshape(one.shape).astype(np.int16)
    return told


def _runs(periods: tuple[float, ...], extent: int) -> tuple[Floats, NDArray[np.int64]]:
    """List the differences of remainders (run, 2), px, and the fringe of the first period.

    Where several fringes end within noise of each other, noise decides which is told to end
    first; so every order of their ends is a run.
    """
    used = periods[:3]
    edges = [np.arange(0, extent + _REACH + period, period) for period in used]
    ends = np.unique(np.concatenate([[-_REACH], *edges, [extent + _REACH]]))
    ends = ends[ends <= extent + _REACH]
    told = [
        [np.floor((ends + (side - 0.5) * 2 * _NOISE_PX) / period) for period, side in both]
        for both in (zip(used, sides, strict=True) for sides in product((0, 1), repeat=len(used)))
    ]
    orders = np.unique(np.concatenate(told, axis=1), axis=1).astype(np.int64)
    differences = [orders[i] * used[i] - orders[0] * used[0] for i in range(1, len(used))]
    if len(differences) == 1:
        differences.append(np.zeros_like(differences[0]))
    return np.stack(differences, axis=1).astype(np.float64), orders[0]


def _plane(one: Any, two: Any, three: bool) -> Floats:
    """Bring differences to a plane in which equal noise of the remainders is round."""
    if not three:
        return np.stack([one / np.sqrt(2), np.zeros_like(one)])
    return np.stack([one / np.sqrt(2), (2 * two - one) / np.sqrt(6)])
