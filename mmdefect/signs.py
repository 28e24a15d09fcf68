"""Signs of a sensor's own state: what its frames show of itself, whatever part lies before it.

A camera that reads 2 K too much describes every part as before, since features look at what
differs within a frame; its scores never tell. So beside the score of a part three numbers are
kept of every sensor, on calibration parts and on every part of a line that is watched:

* *level*: the median of what it measured, the height of a cloud.
* *across*, *down*: how far its picture lies from the mean picture of good parts, in cells of
  `mmdefect.familiar.coarse`: one step of least squares on that picture's gradient [1]_, each
  cell's residual counted as three spreads at most (of good parts, or of this part's residuals
  where those are larger), so that no defect pulls it.

References
----------
.. [1] Lucas, Kanade: An iterative image registration technique with an application to stereo
   vision, IJCAI 1981.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmdefect.familiar import Familiar, coarse
from mmdefect.scene import present_in

SIGNS = ("level", "across", "down")

_LEAST_CELLS = 16
_MOST_SPREADS = 3.0
_MEDIAN_OF_NORMAL = 0.6745

Floats = NDArray[np.float64]


def with_signs(
    prediction: xr.Dataset,
    scene: xr.Dataset,
    familiar: Familiar,
    cells: Mapping[str, Floats] | None = None,
) -> xr.Dataset:
    """Add the signs of a scene's sensors to what is said of it.

    Parameters
    ----------
    prediction : Dataset
    scene : Dataset
    familiar : Familiar
        What good parts look like.
    cells : mapping of str to array, optional
        What ``familiar.cells`` gives for the scene, where that is known.

    Returns
    -------
    Dataset
        With ``signs`` (sensor, sign), NaN where a sensor is absent or its look is not known.
    """
    names = [str(name) for name in prediction["sensor"].values]
    found = signs_of(scene, familiar, names, cells)
    return prediction.assign_coords(sign=list(SIGNS)).assign(signs=(("sensor", "sign"), found))


def signs_of(
    scene: xr.Dataset,
    familiar: Familiar,
    sensors: Sequence[str],
    cells: Mapping[str, Floats] | None = None,
) -> Floats:
    """Measure the signs of some sensors.

    Parameters
    ----------
    scene : Dataset
    familiar : Familiar
    sensors : sequence of str
    cells : mapping of str to array, optional
        What ``familiar.cells`` gives for the scene, where that is known.

    Returns
    -------
    float64 array (sensor, sign)
        The level in the frame's unit, displacements in cells.
    """
    framed = any(name in scene for name in sensors)
    present = present_in(scene) if framed else []
    found = np.full((len(sensors), len(SIGNS)), np.nan)
    for row, name in zip(found, sensors, strict=True):
        if name in present and name in scene:
            row[0] = _level(scene[name])
            if name in familiar.mean:
                seen = cells[name] if cells else coarse(scene[name])
                row[1:] = displaced(seen, familiar.mean[name], familiar.spread[name])
    return found


def displaced(cells: Floats, mean: Floats, spread: Floats) -> Floats:
    """Tell how far a picture lies from the mean one.

    Parameters
    ----------
    cells, mean, spread : float64 array (y, x)
        The picture; mean and spread of good parts' pictures. NaN where unknown.

    Returns
    -------
    float64 array (2,)
        To the right and down, in cells; NaN for a picture of another size, and where fewer than
        sixteen cells are known or the mean picture shows nothing along one of both directions.
    """
    unknown = np.full(2, np.nan)
    if cells.shape != mean.shape or min(mean.shape) < 2:
        return unknown
    down, across = (np.asarray(slope) for slope in np.gradient(mean))
    known = np.isfinite(cells - mean + down + across) & (spread > 0)
    if known.sum() < _LEAST_CELLS:
        return unknown
    held = spread[known]
    residual = (cells - mean)[known] / held
    most = _MOST_SPREADS * max(1.0, float(np.median(np.abs(residual))) / _MEDIAN_OF_NORMAL)
    residual = np.clip(residual, -most, most)
    slopes = np.stack([-across[known] / held, -down[known] / held, 1 / held], axis=1)
    found, _, rank, _ = np.linalg.lstsq(slopes, residual, rcond=None)
    step = np.asarray(found, dtype=np.float64)
    return step[:2] if rank == 3 else unknown


def _level(frame: xr.DataArray) -> float:
    """Give the median of what was measured; of a cloud that of its last channel, the height."""
    planes = np.asarray(frame.values).reshape(-1, *frame.shape[-2:])
    values = np.asarray(planes[-1] if frame.attrs["modality"] == "points" else planes.mean(0))
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")
