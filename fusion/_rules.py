"""Rules that combine evidence over sensors.

Evidence is −ln p on good parts, so a rule works on quantities of one kind. A sensor without
evidence (NaN) contributes nothing, and with no evidence at all the result is NaN, not "good".

* ``sum``: Fisher's statistic, right when sensors are independent and several see the defect.
* ``max``: right when one sensor sees it; the others then cost only their false alarms.
* ``norm``: the Euclidean norm, between the two and the default: weak evidences add up, and one
  strong evidence is hardly diluted. On planted defects, most of which one sensor sees, it comes
  close to ``max``; where several sensors see the same, close to ``sum``.
* ``mean``: what plain score averaging does; kept for comparison.
"""

from collections.abc import Callable

import xarray as xr

Rule = Callable[[xr.DataArray], xr.DataArray]


def _sum(evidence: xr.DataArray) -> xr.DataArray:
    return evidence.sum("sensor", min_count=1)


def _max(evidence: xr.DataArray) -> xr.DataArray:
    return evidence.max("sensor", skipna=True)


def _norm(evidence: xr.DataArray) -> xr.DataArray:
    return (evidence**2).sum("sensor", min_count=1) ** 0.5


def _mean(evidence: xr.DataArray) -> xr.DataArray:
    return evidence.mean("sensor", skipna=True)


RULES: dict[str, Rule] = {"max": _max, "mean": _mean, "norm": _norm, "sum": _sum}
