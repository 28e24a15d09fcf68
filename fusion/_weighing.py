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
        The same, with ``evidence`` and ``evidence_map``.
    """
    names = [str(name) for name in prediction["sensor"].values]
    evidence = [
        part_scales[name].evidence(prediction["sensor_score"].sel(sensor=name)) for name in names
    ]
    maps = [
        pixel_scales[name].evidence(prediction["sensor_map"].sel(sensor=name)) for name in names
    ]
    prediction["evidence"] = ("sensor", np.array(evidence, dtype=np.float64))
    prediction["evidence_map"] = (("sensor", "y", "x"), np.stack(maps))
    return prediction


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
        The same, with ``anomaly_map`` of the registered sensors and ``image_score`` of all.
    """
    names = prediction["sensor"].values
    same = prediction["grid"].values == prediction.attrs["reference"]
    registered = [name for name, here in zip(names, same, strict=True) if here]
    prediction["anomaly_map"] = combine(prediction["evidence_map"].sel(sensor=registered))
    prediction["image_score"] = combine(prediction["evidence"])
    return prediction
