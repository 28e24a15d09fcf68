"""The prediction: what a detector, or a fusion of detectors, says of one scene.

A plain ``xarray.Dataset`` with the scene's labels, so that maps line up with frames by name:

=================  ================  =====================================================
variable           dims              meaning
=================  ================  =====================================================
``sensor_map``     (sensor, y, x)    that sensor's score per pixel; NaN where it was blind
``sensor_score``   (sensor,)         that sensor's score of the part; NaN where it is absent
``anomaly_map``    (y, x)            evidence of all registered sensors per pixel
``image_score``    ()                evidence of all sensors for the part
``p_value``        ()                conformal p-value, once a verdict was given
=================  ================  =====================================================

Higher is worse, everywhere.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

VERDICTS = ("good", "defect", "refer", "not_inspectable")


def new_prediction(
    scene: xr.Dataset,
    sensors: Sequence[str],
    maps: np.ndarray,
    scores: np.ndarray,
    more: Mapping[str, tuple[Sequence[str], np.ndarray]] | None = None,
) -> xr.Dataset:
    """Build a prediction of the sensors' own scores.

    Parameters
    ----------
    scene : Dataset
        What was looked at.
    sensors : sequence of str
        The sensors that were asked.
    maps : float32 array (sensor, y, x)
        Scores per pixel, NaN where there is no evidence.
    scores : float array (sensor,)
        Scores of the part, NaN for a sensor without evidence.
    more : mapping of str to (dims, array), optional
        Further variables, which cost little here and much when they are added later.

    Returns
    -------
    Dataset
        With ``sensor_map`` and ``sensor_score``; a fusion adds the rest.
    """
    grids = dict(zip(scene["sensor"].values.tolist(), scene["grid"].values, strict=True))
    return xr.Dataset(
        {
            "sensor_map": (("sensor", "y", "x"), np.asarray(maps, dtype=np.float32)),
            "sensor_score": ("sensor", np.asarray(scores, dtype=np.float64)),
            **(more or {}),
        },
        coords={
            "sensor": list(sensors),
            "grid": ("sensor", [str(grids[name]) for name in sensors]),
            "y": scene["y"].variable,
            "x": scene["x"].variable,
        },
        attrs=dict(scene.attrs),
    )
