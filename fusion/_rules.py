"""Rules that combine evidence over sensors.

Evidence is e = −ln p on good parts, so a rule works on quantities of one kind. A sensor without
evidence (NaN) contributes nothing, and with no evidence at all the result is NaN, not "good".
Every rule gives a statistic that grows with every evidence; its own p-value is the verdict's
business, which calibrates it once more.

* ``bonferroni``: the smallest p times the number of sensors; valid however they depend [1]_.
* ``fisher``: the sum of the evidences; right when sensors are independent and several see the
  defect [2]_.
* ``harmonic``: the harmonic mean of the p-values; between ``bonferroni`` and ``fisher``, and hardly
  moved by dependence [3]_.
* ``max``: right when one sensor sees it; the others then cost only their false alarms.
* ``mean``: what plain score averaging does; kept for comparison.
* ``norm``: the Euclidean norm, between ``max`` and ``fisher``, and the default: weak evidences add
  up, and one strong evidence is hardly diluted. Sensors that say the same on good parts share one
  voice: from a correlation of 0.8 on, up to 1, where a sensor that is there twice counts once.
* ``stouffer``: the sum of the normal deviates over its standard deviation on good parts, which
  takes their correlation into account: of two sensors that always agree, the second adds nothing
  [4]_.

References
----------
.. [1] Bonferroni, 1936; see Vovk, Wang: Combining p-values via averaging, Biometrika 2020.
.. [2] Fisher: Statistical methods for research workers, 1932.
.. [3] Wilson: The harmonic mean p-value for combining dependent tests, PNAS 2019.
.. [4] Stouffer et al.: The American soldier, 1949; Strube: Combining and comparing significance
   levels from nonindependent hypothesis tests, Psychological Bulletin 1985.
"""

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import norm as normal

Rule = Callable[[xr.DataArray, xr.DataArray], xr.DataArray]

_LEAST_PAIRS = 8
_PRIOR_PAIRS = 10.0
_LEAST_EVIDENCE = 1e-3
_ALIKE = 0.8


def _bonferroni(evidence: xr.DataArray, correlation: xr.DataArray) -> xr.DataArray:
    there = evidence.notnull().sum("sensor")
    floor = evidence.max("sensor", skipna=True) - np.log(there.where(there > 0, 1))
    return floor.clip(min=0.0)


def _fisher(evidence: xr.DataArray, correlation: xr.DataArray) -> xr.DataArray:
    return evidence.sum("sensor", min_count=1)


def _harmonic(evidence: xr.DataArray, correlation: xr.DataArray) -> xr.DataArray:
    there = evidence.notnull()
    axis = evidence.get_axis_num("sensor")
    summed = logsumexp(evidence.fillna(0.0).values, axis=axis, b=there.values)
    count = there.sum("sensor")
    return (count.astype(np.float64).copy(data=summed) - np.log(count.where(count > 0))).where(
        count > 0
    )


def _max(evidence: xr.DataArray, correlation: xr.DataArray) -> xr.DataArray:
    return evidence.max("sensor", skipna=True)


def _mean(evidence: xr.DataArray, correlation: xr.DataArray) -> xr.DataArray:
    return evidence.mean("sensor", skipna=True)


def _norm(evidence: xr.DataArray, correlation: xr.DataArray) -> xr.DataArray:
    names = evidence["sensor"].values.tolist()
    every = correlation["sensor"].values.tolist()
    chosen = [every.index(name) for name in names]
    block = correlation.values[np.ix_(chosen, chosen)]
    alike = np.clip((block - _ALIKE) / (1 - _ALIKE), 0.0, 1.0).astype(evidence.dtype)
    squares = evidence**2
    if float(alike.sum()) > len(names):  # some say what others say
        there = evidence.notnull().astype(evidence.dtype).rename(sensor="other")
        said = labelled(alike, names) * there
        squares = squares / said.sum("other").clip(min=1.0)
    return squares.sum("sensor", min_count=1) ** 0.5


def _stouffer(evidence: xr.DataArray, correlation: xr.DataArray) -> xr.DataArray:
    deviate = evidence.copy(data=deviates(evidence.values))
    there = evidence.notnull().astype(np.float64)
    names = evidence["sensor"].values
    block = correlation.sel(sensor=names, other=names)
    spread = (there * (block * there.rename(sensor="other")).sum("other")).sum("sensor")
    return deviate.sum("sensor", min_count=1) / np.sqrt(spread.where(spread > 0))


RULES: dict[str, Rule] = {
    "bonferroni": _bonferroni,
    "fisher": _fisher,
    "harmonic": _harmonic,
    "max": _max,
    "mean": _mean,
    "norm": _norm,
    "stouffer": _stouffer,
}


def deviates(evidence: NDArray[np.floating]) -> NDArray[np.float64]:
    """Give the normal deviate of each evidence: that of p = exp(−e).

    Parameters
    ----------
    evidence : float array
        NaN stays NaN. Below 0.001 (the lowest good score) it counts as 0.001.

    Returns
    -------
    float64 array of the same shape
        Exact for any evidence: beyond e = 700, where p underflows, by the tail's expansion.
    """
    logs = -np.maximum(np.asarray(evidence, dtype=np.float64), _LEAST_EVIDENCE)
    from_p = normal.isf(np.exp(np.maximum(logs, -600.0)))
    root = np.sqrt(np.maximum(-2 * logs, 1.0))
    far = root - np.log(root * np.sqrt(2 * np.pi)) / root
    deviate: NDArray[np.float64] = np.where(logs < -600.0, far, from_p)
    return deviate


def correlation_of(evidence: NDArray[np.floating]) -> NDArray[np.float64]:
    """Learn how the sensors' deviates go together on good parts.

    Parameters
    ----------
    evidence : float array (part, sensor)
        NaN where a part lacked a sensor.

    Returns
    -------
    float64 array (sensor, sensor)
        Pairwise over the parts that had both, drawn towards 0 by what chance may have done to it:
        as if 10 (1 − r²) more parts had shown none, so that 1 stays 1; 0 with fewer than eight
        parts. Positive semi-definite, ones on the diagonal.
    """
    deviate = deviates(evidence)
    count = deviate.shape[1]
    found = np.eye(count)
    for one in range(count):
        for other in range(one):
            both = np.isfinite(deviate[:, one]) & np.isfinite(deviate[:, other])
            pair = deviate[both][:, [one, other]]
            if both.sum() >= _LEAST_PAIRS and (pair.std(0) > 1e-9).all():
                raw = float(np.mean(np.prod((pair - pair.mean(0)) / pair.std(0), axis=1)))
                prior = _PRIOR_PAIRS * max(0.0, 1 - raw**2)
                found[one, other] = found[other, one] = raw * both.sum() / (both.sum() + prior)
    values, vectors = np.linalg.eigh(found)
    made = (vectors * np.maximum(values, 0.0)) @ vectors.T
    scale = np.sqrt(np.diag(made))
    positive: NDArray[np.float64] = made / np.outer(scale, scale)
    return positive


def labelled(correlation: NDArray[np.float64] | None, sensors: Sequence[str | int]) -> xr.DataArray:
    """Give a correlation the labels that rules expect.

    Parameters
    ----------
    correlation : float64 array (sensor, sensor) or None
        None before anything was learnt: sensors then count as independent.
    sensors : sequence
        Their labels.

    Returns
    -------
    DataArray (sensor, other)
    """
    matrix = np.eye(len(sensors)) if correlation is None else correlation
    names = list(sensors)
    return xr.DataArray(matrix, {"sensor": names, "other": names}, ("sensor", "other"))
