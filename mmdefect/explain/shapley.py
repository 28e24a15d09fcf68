"""Which sensor a verdict came from: exact Shapley values over the sensors.

Each sensor gets its marginal contribution averaged over all orders in which sensors could have
joined [1]_. With the handful of sensors of a rig that is exact in 2ⁿ combinations of evidence
that is already there; no detector runs again. The shares sum to the score less the baseline, two
sensors that say the same get the same, and one that is not there gets nothing.

What the score is without any sensor has to be said, or a share means nothing. It is what a good
part usually scores: the median of the calibration parts' scores, and of the fused evidence of
their pixels. ``Inspection.predict`` puts both into the attrs ``baseline`` and ``pixel_baseline``;
a prediction that was not judged has none, and then it is 0. So a share below 0 speaks for the
part: with this sensor it looks more like a usual good one.

References
----------
.. [1] Shapley: A value for n-person games, Contributions to the theory of games II, 1953.
"""

from itertools import combinations
from math import factorial

import numpy as np
import xarray as xr

from mmdefect.contracts import Fusion
from mmdefect.errors import MmdefectError

__all__ = ["Shapley"]

_MOST_SENSORS = 8


class Shapley:
    """Exact Shapley values of the sensors, for the part and for every pixel."""

    explains = ("anomaly_map", "image_score")

    def attribute(
        self, fusion: Fusion, prediction: xr.Dataset, scene: xr.Dataset | None = None
    ) -> xr.Dataset:
        """Share a prediction's evidence out among its sensors.

        Parameters
        ----------
        fusion : Fusion
            Whose rule combined the evidence.
        prediction : Dataset
            With ``evidence`` (sensor) and ``evidence_map`` (sensor, y, x); attrs ``baseline`` and
            ``pixel_baseline``, 0 where they are not there.
        scene : Dataset, optional
            Not looked at.

        Returns
        -------
        Dataset
            ``attribution`` (sensor), summing to ``image_score`` less the baseline;
            ``attribution_map`` (sensor, y, x), summing to ``anomaly_map`` less the pixels'
            baseline where a registered sensor has evidence, and 0 elsewhere. A sensor without
            evidence gets 0.

        Raises
        ------
        MmdefectError
            For more than eight sensors: the number of combinations doubles with each.
        """
        names = [str(name) for name in prediction["sensor"].values]
        if len(names) > _MOST_SENSORS:
            raise MmdefectError(
                f"{len(names)} sensors were found; exact shares are given for up to "
                f"{_MOST_SENSORS}: leave some out"
            )
        registered = prediction["grid"].values == prediction.attrs["reference"]
        on_grid = [name for name, same in zip(names, registered, strict=True) if same]
        shares = xr.zeros_like(prediction["evidence_map"])
        shares.loc[{"sensor": on_grid}] = _shares(
            fusion,
            prediction["evidence_map"].sel(sensor=on_grid),
            float(prediction.attrs.get("pixel_baseline", 0.0)),
        )
        baseline = float(prediction.attrs.get("baseline", 0.0))
        return xr.Dataset(
            {
                "attribution": _shares(fusion, prediction["evidence"], baseline),
                "attribution_map": shares,
            }
        )


def _shares(fusion: Fusion, evidence: xr.DataArray, baseline: float) -> xr.DataArray:
    """Average every sensor's marginal contribution over all orders of joining.

    A set of sensors of which none has evidence is worth the baseline, as no sensor at all is.
    """
    names = [str(name) for name in evidence["sensor"].values]
    count = len(names)
    worth = {}
    for size in range(count + 1):
        for places in combinations(range(count), size):
            told = fusion.combine(evidence.isel(sensor=list(places))).values
            worth[tuple(names[n] for n in places)] = np.where(np.isnan(told), baseline, told)
    shares = xr.zeros_like(evidence, dtype=np.float64)
    for index, name in enumerate(names):
        others = [other for other in names if other != name]
        for size in range(count):
            weight = factorial(size) * factorial(count - size - 1) / factorial(count)
            for chosen in combinations(others, size):
                joined = tuple(other for other in names if other in (*chosen, name))
                shares.values[index] += weight * (worth[joined] - worth[chosen])
    return shares
