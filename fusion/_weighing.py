"""From sensors' scores to evidence, and from there to what all sensors say together."""

from collections.abc import Callable, Mapping

import numpy as np
import xarray as xr

from ._scales import Scale


def weighed(
    prediction: xr.Dataset, part_scales: Mapping[str, Scale], pixel_scales: Mapping[str, Scale]
) -> xr.Dataset:
    """Bring the sensors' scores to evidence.

    Parameters
    ----------
    prediction : Dataset
        With ``sensor_score`` (sensor) and ``sensor_map`` (sensor, y, x).
    part_scales, pixel_scales : mapping of str to Scale
        By sensor.

    Returns
    -------
    Dataset
        With ``evidence`` and ``evidence_map``.
    """
    names = [str(name) for name in prediction["sensor"].values]
    scores, pixels = prediction["sensor_score"].values, prediction["sensor_map"].values
    evidence = [part_scales[name].evidence(own) for name, own in zip(names, scores, strict=True)]
    maps = [pixel_scales[name].evidence(own) for name, own in zip(names, pixels, strict=True)]
    return prediction.assign(
        evidence=("sensor", np.array(evidence, dtype=np.float64)),
        evidence_map=(("sensor", "y", "x"), np.stack(maps)),
    )


def joined(prediction: xr.Dataset, combine: Callable[[xr.DataArray], xr.DataArray]) -> xr.Dataset:
    """Combine the sensors' evidence.

    Parameters
    ----------
    prediction : Dataset
        With ``evidence`` (sensor) and ``evidence_map`` (sensor, y, x).
    combine : callable
        The fusion's rule, (sensor, …) to (…).

    Returns
    -------
    Dataset
        With ``anomaly_map`` of the registered sensors and ``image_score`` of all.
    """
    registered = prediction["grid"].values == prediction.attrs["reference"]
    return prediction.assign(
        anomaly_map=combine(prediction["evidence_map"].isel(sensor=registered)),
        image_score=combine(prediction["evidence"]),
    )
