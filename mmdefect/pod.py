"""Probability of detection against the size of a defect, as non-destructive testing reports it.

What a line is asked for is not an AUROC but a size: the smallest defect that is found nine times
out of ten (a90), and the size of which that can be said with 95 % confidence (a90/95) [1]_.

* **Hit/miss**: a logistic curve in the logarithm of the size, by maximum likelihood. The bound is
  where the profile likelihood of a90 falls, which holds for few parts too, where Wald's does not.
* **Signal response**: the logarithm of the score is a straight line in the logarithm of the size,
  with normal scatter; scores at a floor are only known to be no higher. It asks for more than
  hit/miss, and gives a tighter bound where that is true. Its bound is found the same way; the
  likelihood ratio is scaled for the two numbers that the line takes.

References
----------
.. [1] MIL-HDBK-1823A: Nondestructive evaluation system reliability assessment, 2009, appendix G.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, minimize, minimize_scalar
from scipy.special import expit, log_expit
from scipy.stats import chi2, norm

from mmdefect.errors import MmdefectError

_WANTED = 0.9
_CONFIDENCE = 0.95
_LEAST_PARTS = 10
_LOGIT = float(np.log(_WANTED / (1 - _WANTED)))
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Pod:
    """A curve of detection.

    Attributes
    ----------
    model : str
        ``hit/miss`` or ``signal response``.
    parts, found : int
    location, slope : float
        POD(a) = link(slope · (ln a − location)); the link is logistic, or the normal distribution
        function for a signal response.
    a90 : float
        Size that is found with probability 0.9, in the sizes' unit.
    a90_95 : float
        Its upper bound at 95 % confidence; infinite where the parts do not give one.
    """

    model: str
    parts: int
    found: int
    location: float
    slope: float
    a90: float
    a90_95: float

    def at(self, sizes: ArrayLike) -> Array:
        """Give the probability of detection.

        Parameters
        ----------
        sizes : float array
            Positive.

        Returns
        -------
        float64 array of the same shape
        """
        at = self.slope * (np.log(np.asarray(sizes, dtype=np.float64)) - self.location)
        found: Array = np.asarray(expit(at) if self.model == "hit/miss" else norm.cdf(at))
        return found


def hit_miss(sizes: ArrayLike, hits: ArrayLike) -> Pod:
    """Fit detection against size from found and missed defects.

    Parameters
    ----------
    sizes : float array (part,)
        Positive, in any one unit.
    hits : bool array (part,)

    Returns
    -------
    Pod

    Raises
    ------
    MmdefectError
        For fewer than ten parts, sizes that are not positive or all the same, parts that were all
        found or all missed, missed ones all smaller than found ones (no scatter to measure), or
        detection that does not grow with size.

    Examples
    --------
    >>> sizes = np.repeat([1.0, 2.0, 3.0, 4.0], 10)
    >>> hits = np.repeat([0, 0, 1, 1], 10) ^ (np.arange(40) % 10 == 0)
    >>> pod = hit_miss(sizes, hits)
    >>> pod.parts, pod.found, round(pod.a90, 1), pod.a90 < pod.a90_95
    (40, 20, 3.9, True)
    """
    logs, found = _checked(sizes, hits)
    if found.all() or not found.any():
        raise MmdefectError(
            f"all {len(found)} defects were {'found' if found.all() else 'missed'}; a curve takes "
            "both: add smaller or larger defects"
        )
    if logs[found].min() >= logs[~found].max():
        raise MmdefectError(
            "every defect found is larger than every one missed: the curve is a step between "
            f"{np.exp(logs[~found].max()):.3g} and {np.exp(logs[found].min()):.3g}; add defects of "
            "sizes between"
        )
    scale = float(logs.std())
    centre = float(logs.mean())
    signs, at = np.where(found, 1.0, -1.0), (logs - centre) / scale

    def loss(turn: Array) -> float:
        return float(-log_expit(signs * (turn[0] + turn[1] * at)).sum())

    best = minimize(loss, np.array([0.0, 1.0]), method="BFGS")
    start, slope = best.x
    if slope <= 1e-3:
        raise MmdefectError("larger defects are not found more often; there is no a90")
    top = (_LOGIT - start) / slope

    def above(where: float) -> float:
        """Tell by how much the profile likelihood of a90 lies above the bound's."""
        profile = minimize_scalar(
            lambda log_slope: loss(
                np.array([_LOGIT - np.exp(log_slope) * where, np.exp(log_slope)])
            ),
            bounds=(-8.0, 8.0),
            method="bounded",
        )
        return float(2 * (profile.fun - best.fun) - chi2.ppf(2 * _CONFIDENCE - 1, 1))

    bound = _crossing(above, top)
    return Pod(
        "hit/miss",
        len(found),
        int(found.sum()),
        float(centre - scale * start / slope),
        float(slope / scale),
        float(np.exp(centre + scale * top)),
        float(np.exp(centre + scale * bound)),
    )


def signal_response(
    sizes: ArrayLike, signals: ArrayLike, threshold: float, floor: float = 0.0
) -> Pod:
    """Fit detection against size from the height of the signal.

    Parameters
    ----------
    sizes : float array (part,)
        Positive, in any one unit.
    signals : float array (part,)
        Scores; higher is worse.
    threshold : float
        Above it a part is called defective; above ``floor``.
    floor : float
        Signals at or below it are only known to be no higher; at 0, no higher than the lowest
        other one.

    Returns
    -------
    Pod

    Raises
    ------
    MmdefectError
        For fewer than ten parts, sizes or a threshold that are not positive, fewer than five
        signals above the floor, or signals that do not grow with size.
    """
    heights = np.asarray(signals, dtype=np.float64)
    logs, found = _checked(sizes, heights > threshold)
    least = max(floor, 0.0)
    seen = heights > least
    if threshold <= least or seen.sum() < 5:
        raise MmdefectError(
            f"{int(seen.sum())} signals are above the floor {least:g} and the threshold is "
            f"{threshold:g}; five signals and a threshold above the floor were promised"
        )
    height = np.log(np.where(seen, heights, least or float(heights[seen].min())))
    centre, scale = float(logs.mean()), float(logs.std())
    at = (logs - centre) / scale

    def loss(turn: Array) -> float:
        spread = np.exp(turn[2])
        rest = (height - turn[0] - turn[1] * at) / spread
        likely = np.where(seen, norm.logpdf(rest) - turn[2], norm.logcdf(rest))
        return float(-likely.sum())

    line = np.polyfit(at[seen], height[seen], 1)
    spread = max(float((height[seen] - np.polyval(line, at[seen])).std()), 1e-3)
    best = minimize(loss, np.array([line[1], line[0], np.log(spread)]), method="BFGS")
    start, rise, spread = best.x[0], best.x[1], float(np.exp(best.x[2]))
    if rise <= 1e-6:
        raise MmdefectError("signals do not grow with size; there is no a90")
    needed, above = np.log(threshold), norm.ppf(_WANTED)
    top = (needed + above * spread - start) / rise
    below = chi2.ppf(2 * _CONFIDENCE - 1, 1) * len(at) / (len(at) - 2)

    def beyond(where: float) -> float:
        """Tell by how much the profile likelihood of a90 lies above the bound's."""
        profile = minimize(
            lambda turn: loss(
                np.array([needed + above * np.exp(turn[1]) - turn[0] * where, *turn])
            ),
            best.x[1:],
            method="Nelder-Mead",
        )
        return float(2 * (profile.fun - best.fun) - below)

    bound = _crossing(beyond, top)
    return Pod(
        "signal response",
        len(found),
        int(found.sum()),
        float(centre + scale * (needed - start) / rise),
        float(rise / spread / scale),
        float(np.exp(centre + scale * top)),
        float(np.exp(centre + scale * bound)),
    )


def _checked(sizes: ArrayLike, hits: ArrayLike) -> tuple[Array, NDArray[np.bool_]]:
    """Give logarithms of sizes, and what was found; refuse what no curve can be fitted to."""
    lengths, found = np.asarray(sizes, dtype=np.float64), np.asarray(hits, dtype=bool)
    if lengths.shape != found.shape or lengths.ndim != 1:
        raise MmdefectError(f"{lengths.shape} sizes for {found.shape} parts; one each was promised")
    if len(lengths) < _LEAST_PARTS:
        raise MmdefectError(
            f"{len(lengths)} defects of known size are too few for a curve; {_LEAST_PARTS} at "
            "least were promised"
        )
    if not (np.isfinite(lengths) & (lengths > 0)).all() or np.ptp(lengths) == 0:
        raise MmdefectError("sizes have to be positive numbers that are not all the same")
    return np.log(lengths), found


def _crossing(above: Callable[[float], float], start: float) -> float:
    """Find where a function that is negative at the start becomes positive; infinity if nowhere."""
    step = 0.25
    while step < 64:
        if above(start + step) > 0:
            return float(brentq(above, start, start + step, xtol=1e-6))
        step *= 2
    return float("inf")
