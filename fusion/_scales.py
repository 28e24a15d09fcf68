"""Scores of one sensor on a scale that all sensors share: evidence, −ln p on good parts.

Fitted on held-out scores of good parts. In the body p is the share of good scores at or above;
beyond the highest of them an empirical share says nothing, so the tail is a generalised Pareto
distribution [1]_: an exponential one, or one whose shape is fitted by probability-weighted
moments, which few excesses suffice for [2]_. The shape is held between 0 (exponential) and 0.5
and drawn towards 0 as if ten more excesses had shown that: a negative one would call everything
beyond an end point impossible, and the end point of a handful of good scores is nothing to bet
on. It ranks evidence; it is no guarantee, which is the verdict's business.

References
----------
.. [1] Pickands: Statistical inference using extreme order statistics, Annals of Statistics 3,
   1975.
.. [2] Hosking, Wallis: Parameter and quantile estimation for the generalized Pareto distribution,
   Technometrics 29, 1987.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmdefect.jit import compiled

_KNOTS = 128
_STEPS = 1024
_HEAVIEST = 0.5
_PRIOR_EXCESSES = 10.0
_LEAST_SPAN = 1e-290
"""Knots this near to each other are gone through one by one: steps a unit would overflow."""


class Scale:
    """A monotone map from scores to evidence.

    Parameters
    ----------
    tail : float
        Share of the good scores that the tail is fitted to.
    heavy : bool
        Whether the tail may be heavier than an exponential one.

    Attributes
    ----------
    knots_ : float array (knot,)
        Scores, ascending, up to the tail's start; empty when nothing was there to fit.
    evidence_ : float array (knot,)
        Their evidence.
    excess_ : float
        Mean excess of the tail, in the score's unit.
    shape_ : float
        The tail's shape ξ, 0 to 0.5.
    """

    def __init__(self, tail: float, heavy: bool = False) -> None:
        self.tail = tail
        self.heavy = heavy
        self._begin: NDArray[np.int64] | None = None

    def fit(self, scores: ArrayLike) -> Self:
        """Learn from held-out scores of good parts; NaN is left out.

        Parameters
        ----------
        scores : array (n,)

        Returns
        -------
        Scale
            Itself.
        """
        self._begin = None
        known = np.asarray(scores, dtype=np.float64)
        known = np.sort(known[np.isfinite(known)])
        self.knots_, self.evidence_, self.excess_, self.shape_ = known[:0], known[:0], 1.0, 0.0
        if known.size == 0:
            return self
        below = np.linspace(0.0, 1.0 - self.tail, _KNOTS)
        knots, first = np.unique(np.quantile(known, below), return_index=True)
        self.knots_, self.evidence_ = knots, -np.log1p(-below[first])
        beyond = known[known > knots[-1]] - knots[-1]
        spread = known[-1] - known[0]
        least = max(1e-3 * spread, 1e-6 * abs(known[-1]), 1e-12)
        self.excess_ = max(float(beyond.mean()) if beyond.size else 0.0, least)
        self.shape_ = _shape(beyond) if self.heavy else 0.0
        return self

    def evidence(self, scores: ArrayLike) -> np.ndarray:
        """Bring scores to the common scale.

        Parameters
        ----------
        scores : float array

        Returns
        -------
        float32 array of the same shape
            From 0; NaN stays NaN, and everything is NaN when nothing was there to fit.
        """
        raw = np.asarray(scores)
        if raw.dtype not in (np.float32, np.float64):
            raw = raw.astype(np.float64)
        found = np.full(raw.size, np.nan, dtype=np.float32)
        if self.knots_.size:
            ladder = (self.knots_, self.evidence_, self._first())
            flat = np.ascontiguousarray(raw).reshape(-1)
            _climb(flat, *ladder, self.excess_ * (1 - self.shape_), self.shape_, found)
        return found.reshape(raw.shape)

    def _first(self) -> NDArray[np.int64]:
        """Give the knot at which to begin, for each of equal steps from the first to the last."""
        if self._begin is None:
            steps = np.linspace(self.knots_[0], self.knots_[-1], _STEPS + 1)
            self._begin = np.maximum(np.searchsorted(self.knots_, steps, "right") - 1, 0)
        return self._begin

    def state(self) -> dict[str, Any]:
        """Give what was learnt, for JSON."""
        return {
            "tail": self.tail,
            "heavy": self.heavy,
            "knots": self.knots_.tolist(),
            "evidence": self.evidence_.tolist(),
            "excess": self.excess_,
            "shape": self.shape_,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Make the scale that gave this state."""
        scale = cls(state["tail"], state["heavy"])
        scale.knots_ = np.array(state["knots"], dtype=np.float64)
        scale.evidence_ = np.array(state["evidence"], dtype=np.float64)
        scale.excess_, scale.shape_ = state["excess"], state["shape"]
        return scale


def _shape(beyond: np.ndarray) -> float:
    """Fit the shape of the tail to sorted excesses."""
    if beyond.size < 2:
        return 0.0
    above = 1 - (np.arange(1, beyond.size + 1) - 0.35) / beyond.size
    mean, weighted = float(beyond.mean()), float((above * beyond).mean())
    shape = 2 - mean / max(mean - 2 * weighted, 1e-12 * mean)
    return float(np.clip(shape, 0.0, _HEAVIEST)) * beyond.size / (beyond.size + _PRIOR_EXCESSES)


@compiled
def _climb(
    scores: NDArray[np.floating],
    knots: NDArray[np.float64],
    evidence: NDArray[np.float64],
    begin: NDArray[np.int64],
    excess: float,
    shape: float,
    found: NDArray[np.float32],
) -> None:
    """Go from scores to evidence: linearly between knots, by the tail beyond the last."""
    last, low = len(knots) - 1, knots[0]
    span = knots[last] - low
    steps = (len(begin) - 1) / span if span > _LEAST_SPAN else 0.0
    for place in range(len(scores)):
        score = np.float64(scores[place])
        if score <= low:
            found[place] = evidence[0]
        elif score >= knots[last]:
            beyond = (score - knots[last]) / excess
            found[place] = evidence[last] + (np.log1p(shape * beyond) / shape if shape else beyond)
        elif score > low:
            k = min(begin[int((score - low) * steps)], last - 1)
            while k > 0 and knots[k] > score:
                k -= 1
            while knots[k + 1] <= score:
                k += 1
            share = (score - knots[k]) / (knots[k + 1] - knots[k])
            found[place] = evidence[k] + share * (evidence[k + 1] - evidence[k])
