"""Weights of the sensors, learnt where some defective parts are known, and used only if they help.

* A logistic regression on the sensors' evidences. Weights are never negative, so that the
  combination still grows with every evidence, and few defects draw them towards equal ones.
* No weight is below a twentieth of the largest: the sensor that saw none of the known defects may
  be the only one that sees the next, or the only one that is left.
* Whether they are used is asked on held-out parts. Every fold's parts are ranked by weights that
  the other folds taught, and by the rule. The difference of the two areas under the ROC curve is
  paired, part by part [1]_; only when its lower bound, one-sided at 95 %, is above 0 do the weights
  replace the rule.

They say nothing of pixels, whose maps keep the rule, and nothing of the false-alarm rate: the
verdict calibrates the weighted combination as it does the rule's.

References
----------
.. [1] DeLong, DeLong, Clarke-Pearson: Comparing the areas under two or more correlated receiver
   operating characteristic curves, Biometrics 44, 1988.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import norm as normal

from mmdefect.errors import MmdefectError

from ._rules import Rule, correlation_of, labelled

Rows = NDArray[np.float64]
Flags = NDArray[np.bool_]

LEAST_DEFECTS = 10
_FOLDS = 5
_FLOOR = 0.05
_LEVEL = 0.95
_PULL = 1.0


class Weights(NamedTuple):
    """What labelled parts say of the sensors' worth.

    Attributes
    ----------
    sensors : tuple of str
    weights : tuple of float
        One per sensor, their mean is 1.
    defects : int
        How many defective parts taught.
    rule_auroc, auroc, low : float or None
        Of held-out parts: the area by the rule, that by the weights, and the lower bound of what
        the weights gain; None with fewer than ten good or defective parts, too few to hold any
        out.
    """

    sensors: tuple[str, ...]
    weights: tuple[float, ...]
    defects: int
    rule_auroc: float | None = None
    auroc: float | None = None
    low: float | None = None

    def __str__(self) -> str:
        """Tell what was learnt, and whether it is used."""
        if self.low is None:
            return (
                f"{self.defects} labelled defective parts were found; ten, and ten good ones, are "
                "needed to weigh the sensors by them: the rule stays"
            )
        own = ", ".join(f"{n} {w:.2g}" for n, w in zip(self.sensors, self.weights, strict=True))
        used = "weights are used" if self.better else "not shown to be better: the rule stays"
        return (
            f"weights of the sensors, learnt from {self.defects} labelled defective parts: {own}; "
            f"part AUROC of held-out parts {self.auroc:.3f}, {self.rule_auroc:.3f} by the rule "
            f"(gain at least {self.low:+.3f}): {used}"
        )

    @property
    def better(self) -> bool:
        """Whether held-out parts showed that the weights beat the rule."""
        return self.low is not None and self.low > 0

    def combined(self, evidence: xr.DataArray) -> xr.DataArray:
        """Add weighted evidence up over the sensors.

        Parameters
        ----------
        evidence : DataArray (sensor, …)
            With the sensors' names; NaN contributes nothing.

        Returns
        -------
        DataArray (…)
            NaN where no sensor has evidence.
        """
        own = dict(zip(self.sensors, self.weights, strict=True))
        weights = [own[str(name)] for name in evidence["sensor"].values]
        return (evidence * xr.DataArray(weights, dims="sensor")).sum("sensor", min_count=1)

    def state(self) -> dict[str, Any]:
        """Give it all, for JSON."""
        return self._asdict()

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Make the weights that gave this state."""
        return cls(**{**state, **{k: tuple(state[k]) for k in ("sensors", "weights")}})


def weights_of(
    sensors: Sequence[str], good: Rows | None, defective: Rows, rule: Rule, seed: int = 0
) -> Weights:
    """Learn weights, and compare them with a rule on held-out parts.

    Parameters
    ----------
    sensors : sequence of str
    good, defective : float array (part, sensor)
        Evidence of parts that the detectors had not seen; NaN where a part lacked a sensor.
    rule : Rule
        What the weights have to beat.
    seed : int
        Draws the folds.

    Returns
    -------
    Weights

    Raises
    ------
    MmdefectError
        When what good parts scored is not known any more.
    """
    if good is None:
        raise MmdefectError(
            "a fusion from a model does not know what its good parts scored; learn weights where "
            "it is fitted"
        )
    if min(len(good), len(defective)) < LEAST_DEFECTS:
        return Weights(tuple(sensors), (1.0,) * len(sensors), len(defective))
    rows = np.concatenate([good, defective])
    bad = np.arange(len(rows)) >= len(good)
    rng = np.random.default_rng(seed)
    fold = np.empty(len(rows), dtype=np.int64)
    for side in (bad, ~bad):
        fold[side] = rng.permutation(int(side.sum())) % _FOLDS
    weighted = np.empty(len(rows))
    for k in range(_FOLDS):
        weighted[fold == k] = _added(rows[fold == k], _logistic(rows[fold != k], bad[fold != k]))
    labels = {"sensor": list(sensors)}
    together = labelled(correlation_of(good), list(sensors))
    ruled = rule(xr.DataArray(rows.T, labels, ("sensor", "part")), together).values
    known = np.isfinite(rows).any(1)
    areas, low = _compared(np.stack([weighted, ruled])[:, known], bad[known], fold[known])
    own = tuple(_logistic(rows, bad).tolist())
    return Weights(tuple(sensors), own, len(defective), areas[1], areas[0], low)


def _added(rows: Rows, weights: Rows) -> Rows:
    return np.asarray(np.nan_to_num(rows) @ weights, dtype=np.float64)


def _logistic(rows: Rows, bad: Flags) -> Rows:
    """Fit weights (sensor,), never negative, drawn towards equal ones; their mean is 1."""
    rows = np.nan_to_num(rows)
    sign = np.where(bad, 1.0, -1.0)
    share = np.where(bad, 0.5 / max(bad.sum(), 1), 0.5 / max((~bad).sum(), 1))
    pull = _PULL / max(int(bad.sum()), 1)

    def loss(own: Rows) -> tuple[float, Rows]:
        weights, start = own[:-1], own[-1]
        margin = sign * (rows @ weights + start)
        slope = -share * sign * expit(-margin)
        apart = weights - weights.mean()
        value = share @ np.logaddexp(0.0, -margin) + pull / 2 * (apart @ apart)
        value += 0.01 * pull / 2 * (weights @ weights)
        return float(value), np.append(
            rows.T @ slope + pull * (apart + 0.01 * weights), slope.sum()
        )

    count = rows.shape[1]
    begin = np.append(np.full(count, 0.5), -1.0)
    found = minimize(loss, begin, jac=True, bounds=[(0, None)] * count + [(None, None)])
    weights = np.maximum(found.x[:-1], _FLOOR * found.x[:-1].max())
    return np.asarray(weights / weights.mean() if weights.any() else np.ones(count))


def _compared(scores: Rows, bad: Flags, fold: NDArray[np.int64]) -> tuple[list[float], float]:
    """Give the areas of two scores (score, part), fold by fold, and the lower bound of the gain."""
    placed = np.empty(scores.shape)
    for k in np.unique(fold):
        here = fold == k
        for own, score in zip(placed, scores, strict=True):
            good, defective = score[here & ~bad], score[here & bad]
            wins = (defective[:, None] > good) + 0.5 * (defective[:, None] == good)
            own[here & bad], own[here & ~bad] = wins.mean(1), wins.mean(0)
    gain = placed[0] - placed[1]
    error = sum(float(gain[side].var(ddof=1)) / int(side.sum()) for side in (bad, ~bad)) ** 0.5
    low = float(gain[bad].mean()) - float(normal.ppf(_LEVEL)) * error
    return [float(own[bad].mean()) for own in placed], low
