"""Scores of one sensor on a scale that all sensors share: evidence, −ln p on good parts.

Fitted on held-out scores of good parts. In the body p is the share of good scores at or above;
beyond the highest of them an empirical share says nothing, so the tail is taken as exponential,
with the mean excess over the tail's start as its scale: the maximum-likelihood fit, and the
middle of the generalised-Pareto family [1]_. It ranks evidence; it is no guarantee, which is the
verdict's business.

References
----------
.. [1] Pickands: Statistical inference using extreme order statistics, Annals of Statistics 3,
   1975.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

_KNOTS = 128


class Scale:
    """A monotone map from scores to evidence.

    Parameters
    ----------
    tail : float
        Share of the good scores that the tail is fitted to.

    Attributes
    ----------
    knots_ : float array (knot,)
        Scores, ascending, up to the tail's start; empty when nothing was there to fit.
    evidence_ : float array (knot,)
        Their evidence.
    excess_ : float
        Mean excess of the tail, in the score's unit.
    """

    def __init__(self, tail: float) -> None:
        self.tail = tail

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
        known = np.asarray(scores, dtype=np.float64)
        known = np.sort(known[np.isfinite(known)])
        self.knots_, self.evidence_, self.excess_ = known[:0], known[:0], 1.0
        if known.size == 0:
            return self
        below = np.linspace(0.0, 1.0 - self.tail, _KNOTS)
        knots, first = np.unique(np.quantile(known, below), return_index=True)
        self.knots_, self.evidence_ = knots, -np.log1p(-below[first])
        beyond = known[known > knots[-1]] - knots[-1]
        spread = known[-1] - known[0]
        least = max(1e-3 * spread, 1e-6 * abs(known[-1]), 1e-12)
        self.excess_ = max(float(beyond.mean()) if beyond.size else 0.0, least)
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
        raw = np.asarray(scores, dtype=np.float64)
        if self.knots_.size == 0:
            return np.full(raw.shape, np.nan, dtype=np.float32)
        body = np.interp(raw, self.knots_, self.evidence_)
        tail = np.maximum(raw - self.knots_[-1], 0.0) / self.excess_
        evidence: np.ndarray = (body + tail).astype(np.float32)
        return evidence

    def state(self) -> dict[str, Any]:
        """Give what was learnt, for JSON."""
        return {
            "tail": self.tail,
            "knots": self.knots_.tolist(),
            "evidence": self.evidence_.tolist(),
            "excess": self.excess_,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Make the scale that gave this state."""
        scale = cls(state["tail"])
        scale.knots_ = np.array(state["knots"], dtype=np.float64)
        scale.evidence_ = np.array(state["evidence"], dtype=np.float64)
        scale.excess_ = state["excess"]
        return scale
