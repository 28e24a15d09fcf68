"""From what cells of one grid say to a prediction, for fusions that have no detectors of their own.

Their scores are not evidence on a common scale; they stand in its place, so that verdict, report
and explanation take every fusion alike.
"""

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmdefect.detectors._maps import to_pixels
from mmdefect.learnable import learn_mask
from mmdefect.prediction import new_prediction
from mmdefect.scene import apart_of

from ._weighing import joined

_BLUR = 0.5


def from_cells(
    scene: xr.Dataset,
    sensors: Sequence[str],
    cells: Mapping[str, NDArray[np.floating]],
    scored: Callable[[NDArray[np.floating]], NDArray[np.float64]],
    combine: Callable[[xr.DataArray], xr.DataArray],
    started: float,
) -> xr.Dataset:
    """Make a prediction of cells' scores.

    Parameters
    ----------
    scene : Dataset
    sensors : sequence of str
        All that were learnt.
    cells : mapping of str to float array (row, column)
        Scores of those on the common grid, NaN without evidence.
    scored : callable
        From maps (sensor, y, x) to the part's scores (sensor).
    combine : callable
        The fusion's rule, (sensor, …) to (…).
    started : float, s
        When ``time.perf_counter`` was asked before the cells were.

    Returns
    -------
    Dataset
        ``sensor_map``, ``sensor_score``, the same as ``evidence_map`` and ``evidence``,
        ``anomaly_map``, ``image_score``, and ``seconds``, shared evenly.
    """
    shape = (len(sensors), scene.sizes["y"], scene.sizes["x"])
    maps = np.full(shape, np.nan, dtype=np.float32)
    learn = learn_mask(scene)
    for name, own in cells.items():
        valid = scene["valid"].sel(sensor=name).values & learn
        maps[list(sensors).index(name)] = to_pixels(own, valid, _BLUR)
    apart = np.stack([apart_of(scene, name) for name in sensors])
    prediction = new_prediction(scene, sensors, maps, scored(np.where(apart, np.nan, maps)))
    prediction["evidence_map"] = prediction["sensor_map"].copy()
    prediction["evidence"] = prediction["sensor_score"].copy()
    prediction = joined(prediction, combine)
    spent = (time.perf_counter() - started) / len(sensors)
    prediction["seconds"] = ("sensor", np.full(len(sensors), spent))
    return prediction
